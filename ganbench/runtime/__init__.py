"""Torch, below data, scoring and training: devices, precision, seeds, memory, whose fault an error is."""
