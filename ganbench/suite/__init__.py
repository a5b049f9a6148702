"""Multiple runs of one benchmark."""
