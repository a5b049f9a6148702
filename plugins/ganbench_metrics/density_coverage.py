"""Density and coverage (Naeem et al. 2020, arXiv:2002.09797, eq. 7 and 8) with any features."""

from __future__ import annotations

import math
from typing import Any

import torch

from ganbench import FeatureExtractor, Features

from .blocks import all_finite, squared_distances, squared_radii


class DensityCoverage:
    """Density is the mean number of balls that contain a generated image, divided by k; coverage is the share of balls
    that contain any generated image.

    Each ball is centered on a real image, and its radius is the distance to the k-th nearest other real image. An image
    is in a ball if `distance < radius`, as in the authors' code; the ball of a real image with k duplicates, whose
    radius is 0, therefore contains nothing.

    Coverage is between 0 and 1, but density may exceed 1. If the generated images have the distribution of the real
    ones, density is 1 on average, and coverage is about `1 - 2^-k` for equal counts. Both depend on the counts. For the
    memory, see `blocks.squared_distances`. Distances that differ by rounding errors only are equal.
    """

    higher_is_better = {"density": True, "coverage": True}

    def __init__(self, features: FeatureExtractor, neighbors: int, device: str) -> None:
        self.features = features
        self.neighbors = neighbors
        self.device = device
        self.min_images = neighbors + 1
        self.protocol: dict[str, Any] = {"distances": "Euclidean, float64", "in_ball": "distance < radius"}
        self.label = f"density and coverage ({features.protocol['extractor']})"

    def score(self, real: Features, generated: Features) -> dict[str, float]:
        """Return both values; NaN if a feature is not finite."""
        if not (all_finite(real) and all_finite(generated)):
            return dict.fromkeys(self.higher_is_better, math.nan)
        radii = squared_radii(real, self.neighbors, self.device)
        memberships, covered = 0, torch.zeros_like(radii, dtype=torch.bool)
        for _, columns, between in squared_distances(generated, real, slack=1):
            inside = between < radii[columns]
            memberships += int(inside.sum())
            covered[columns] |= inside.any(0)
        density = memberships / (self.neighbors * len(generated))
        return {"density": density, "coverage": covered.double().mean().item()}
