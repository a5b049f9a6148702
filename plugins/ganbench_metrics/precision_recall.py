"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2) with any features."""

from __future__ import annotations

import math
from typing import Any

import torch

from ganbench import FeatureExtractor, Features

from .blocks import all_finite, squared_distances, squared_radii


class PrecisionRecall:
    """Precision is the share of generated images on the manifold of real images; recall swaps both sets.

    The manifold of a set is the union of balls around its images; the radius of a ball is the distance to the k-th
    nearest other image of the set. An image is on the manifold if `distance <= radius` for any ball, as in eq. 1. An
    image with the features of a real image is therefore on the manifold, even if the radius is 0 because of duplicates.

    Both values are between 0 and 1. They depend on the number of images on either side: compare only values with equal
    counts. For the memory, see `blocks.squared_distances`. Distances that differ by rounding errors only are equal.
    """

    higher_is_better = {"precision": True, "recall": True}

    def __init__(self, features: FeatureExtractor, neighbors: int, device: str) -> None:
        self.features = features
        self.neighbors = neighbors
        self.device = device
        self.min_images = neighbors + 1
        self.protocol: dict[str, Any] = {"distances": "Euclidean, float64", "on_manifold": "distance <= radius"}
        self.label = f"precision and recall ({features.protocol['extractor']})"

    def score(self, real: Features, generated: Features) -> dict[str, float]:
        """Return both values; NaN if a feature is not finite."""
        if not (all_finite(real) and all_finite(generated)):
            return dict.fromkeys(self.higher_is_better, math.nan)
        real_radii, generated_radii = (
            squared_radii(features, self.neighbors, self.device) for features in (real, generated)
        )
        precise = torch.zeros_like(generated_radii, dtype=torch.bool)
        recalled = torch.zeros_like(real_radii, dtype=torch.bool)
        for rows, columns, between in squared_distances(generated, real, slack=-1):
            precise[rows] |= (between <= real_radii[columns]).any(1)
            recalled[columns] |= (between <= generated_radii[rows, None]).any(0)
        return {"precision": precise.double().mean().item(), "recall": recalled.double().mean().item()}
