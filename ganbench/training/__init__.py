"""The part of the core that imports torch: one run, from data to scores."""
