"""`ganbench audit`: whether a metric is meaningful on a dataset."""
