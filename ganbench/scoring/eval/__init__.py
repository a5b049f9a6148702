"""`ganbench eval`: scores images that were generated elsewhere, or by the trained model of a run."""
