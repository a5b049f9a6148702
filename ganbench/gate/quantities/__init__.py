"""What a check compares: speed and memory, the losses of a smoke run, scores, targets, and seeds that fail."""
