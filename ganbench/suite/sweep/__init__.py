"""`ganbench sweep`: a benchmark over a grid of one or two of its parameters."""
