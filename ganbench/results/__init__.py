"""What a run stores and what may be compared: the result, its environment, differences between results."""
