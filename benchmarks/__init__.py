"""Measurements of ganbench itself: timings live here, never in the tests."""
