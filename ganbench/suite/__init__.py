"""Suites and sweeps: many runs from one file or one command."""
