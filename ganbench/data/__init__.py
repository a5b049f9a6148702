"""Check datasets, load their images in batches, and sample labels."""
