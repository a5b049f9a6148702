"""Data for games that need none."""

from __future__ import annotations

import hashlib

import torch
from torch.utils.data import TensorDataset

from ganbench import ImageData


def blank_images(count: int) -> ImageData:
    """So many grey images of one pixel, uint8 `(1, 1, 1)`: how many only says how long an epoch is."""
    images = torch.full((count, 1, 1, 1), 128, dtype=torch.uint8)
    split = TensorDataset(images, torch.zeros(count, dtype=torch.int64))
    fingerprint = hashlib.sha256(f"{count} blank images".encode()).hexdigest()
    return ImageData(split, split, num_classes=1, source="none", fingerprint=fingerprint)
