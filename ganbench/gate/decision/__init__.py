"""From measurements to a verdict: pure functions over numbers."""
