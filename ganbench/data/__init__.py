"""Check datasets, decode image files, load images in batches, and sample labels."""
