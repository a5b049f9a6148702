"""Placeholder data for games, which need no data."""

from __future__ import annotations

import hashlib

import torch
from torch.utils.data import TensorDataset

from ganbench import ImageData


def blank_images(count: int) -> ImageData:
    """Return `count` gray images of one pixel, uint8 `(1, 1, 1)`; the count only sets the length of an epoch."""
    images = torch.full((count, 1, 1, 1), 128, dtype=torch.uint8)
    split = TensorDataset(images, torch.zeros(count, dtype=torch.int64))
    fingerprint = hashlib.sha256(f"{count} blank images".encode()).hexdigest()
    return ImageData(split, split, num_classes=1, source="none", fingerprint=fingerprint)
