"""Torch utilities for data, scoring and training: devices, precision, seeds, memory, error attribution."""
