"""Samples mixtures of Gaussians in the plane."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ganbench import ImageData

from .mixture_options import MixtureOptions


def sample_mixture(centers: np.ndarray, std: float, options: MixtureOptions) -> ImageData:
    """Sample both splits from isotropic Gaussians around `centers`, `(modes, 2)`: points, float32 `(N, 2)`.

    The label of point i is i modulo the number of modes, so that all modes have the same weight.
    """
    # RandomState: unlike those of numpy's newer generators, its numbers never change
    rng = np.random.RandomState(options.data_seed)
    digest = hashlib.sha256()
    splits = []
    for count in (options.train_points, options.test_points):
        labels = np.arange(count, dtype=np.int64) % len(centers)
        points = (centers[labels] + std * rng.standard_normal((count, 2))).astype(np.float32)
        digest.update(points.astype("<f4").tobytes() + labels.astype("<i8").tobytes())
        splits.append(TensorDataset(torch.from_numpy(points), torch.from_numpy(labels)))
    train, test = splits
    return ImageData(train, test, num_classes=len(centers), source="computed", fingerprint=digest.hexdigest())
