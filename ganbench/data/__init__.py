"""Torch: the images of a dataset, checked, in batches, on the device."""
