"""What scripts and notebooks use: start, load and compare runs, and evaluate images."""
