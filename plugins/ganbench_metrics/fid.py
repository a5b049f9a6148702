"""Fréchet inception distance (Heusel et al. 2017, arXiv:1706.08500, eq. 6) with any features."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from ganbench import FeatureExtractor, Features, ScoreWarning


class FID:
    """The distance between Gaussians fitted to the features of generated and real images, in float64.

    torchmetrics accumulates the statistics, and `frechet_distance` computes the distance. It is 0 for equal
    distributions and has no upper bound. FID is biased by the number of images on either side: compare only values with
    equal counts.
    """

    higher_is_better = False
    min_images = 2  # a single one has no covariance

    def __init__(self, features: FeatureExtractor, device: str) -> None:
        self.features = features
        self.device = device
        self.protocol: dict[str, Any] = {"statistics": "float64"}
        self.software = {"torchmetrics": version("torchmetrics")}
        self.label = f"FID ({features.protocol['extractor']})"

    def score(self, real: Features, generated: Features) -> float:
        """Return the distance. Warns with `ScoreWarning` if there are too few images to estimate the covariance."""
        one, other = self.gaussian(real), self.gaussian(generated)
        fewest, dimensions = min(one.count, other.count), len(one.mean)
        if fewest <= dimensions:
            message = f"{fewest:,} images do not determine the covariance of {dimensions:,} features; use more images"
            warnings.warn(ScoreWarning(message), stacklevel=2)
        return frechet_distance(one, other)

    def gaussian(self, features: Features) -> Gaussian:
        """Return the mean and covariance of features."""
        sums = features.derived("sums", lambda: self._sums(features))
        count, mean = len(features), sums["sum"] / len(features)
        return Gaussian(count, mean, (sums["products"] - count * torch.outer(mean, mean)) / (count - 1))

    def _sums(self, features: Features) -> dict[str, Tensor]:
        """Return the sums accumulated by torchmetrics: of the features `(d,)` and of their outer products `(d, d)`."""
        from torchmetrics.image.fid import FrechetInceptionDistance  # here, because importing it takes a second

        # explicit arguments, because torchmetrics' defaults could change
        fid = FrechetInceptionDistance(
            _GivenFeatures(self.features.num_features), reset_real_features=False, normalize=False, antialias=False
        ).to(self.device)
        for batch in features.batches():
            fid.update(batch, real=True)
        return {"sum": fid.real_features_sum, "products": fid.real_features_cov_sum}


@dataclass(frozen=True)
class Gaussian:
    """The mean `(d,)` and unbiased covariance `(d, d)` of the features of `count` images."""

    count: int
    mean: Tensor
    covariance: Tensor


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """Return |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁C₂)^½), accurate even for singular covariances; NaN if a feature is NaN.

    With C = LLᵀ, the eigenvalues of C₁C₂ are the squared singular values of L₁ᵀL₂, so the trace of the square root is
    the sum of these singular values. A square root of C₁C₂ itself would lose half of the digits at eigenvalues near 0.
    """
    if not (one.covariance.isfinite().all() and other.covariance.isfinite().all()):
        return math.nan
    roots = [covariance_root(gaussian.covariance) for gaussian in (one, other)]
    singular_values = torch.linalg.svdvals(roots[0].T @ roots[1])
    traces = one.covariance.trace() + other.covariance.trace()
    return ((one.mean - other.mean).square().sum() + traces - 2 * singular_values.sum()).item()


def covariance_root(covariance: Tensor) -> Tensor:
    """Return L `(d, rank)` with LLᵀ = C, without directions whose variance is only rounding error."""
    values, vectors = torch.linalg.eigh(covariance)
    significant = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
    return vectors[:, significant] * values[significant].sqrt()


class _GivenFeatures(nn.Module):
    """Stands in for an extractor, because torchmetrics receives features instead of images.

    It converts them to float64, so that torchmetrics does not round the distance to float32.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features.double()
