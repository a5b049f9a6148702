"""`ganbench sweep`: train a benchmark over a grid of one or two parameters."""
