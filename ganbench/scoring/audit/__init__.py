"""`ganbench audit`: whether a metric is worth anything on a dataset."""
