"""Fréchet inception distance (Heusel et al. 2017, arXiv:1706.08500, eq. 6) over any features."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from ganbench import (
    FeatureExtractor,
    ReferenceImages,
    ScoreWarning,
    read_cache,
    write_cache,
)

REAL_STATE = ("real_features_sum", "real_features_cov_sum", "real_features_num_samples")


class FID:
    """The distance between generated and real images' features, as Gaussians with float64 statistics.

    torchmetrics gathers the statistics, `frechet_distance` computes the distance. Zero for equal distributions, without
    an upper bound. It is biased by the number of images on either side: compare only values whose counts are equal.
    """

    better: Literal["lower", "higher"] = "lower"

    def __init__(self, extractor: FeatureExtractor, device: str, cache_dir: Path) -> None:
        self.protocol: dict[str, Any] = {"statistics": "float64", **extractor.protocol}
        self.software = {"torchmetrics": version("torchmetrics"), **getattr(extractor, "software", {})}
        self.label = f"FID ({extractor.protocol['extractor']})"
        self.cache_dir = cache_dir / "fid"
        # defaults that could change between versions of torchmetrics are spelt out; resizing is the extractor's
        self.fid = FrechetInceptionDistance(
            _Float64Features(extractor), reset_real_features=False, normalize=False, antialias=False
        ).to(device)

    def fit(self, reference: ReferenceImages) -> None:
        """Take in the real images' statistics, from the cache if they were computed before."""
        parts = {**self.protocol, **self.software, "real": reference.fingerprint, "count": reference.count}
        key = json.dumps(parts, sort_keys=True)
        cached = self.cache_dir / f"{hashlib.sha256(key.encode()).hexdigest()}"
        if self._load(cached):
            return
        for batch in reference.batches():
            self.fid.update(batch, real=True)
        state = {name: getattr(self.fid, name).cpu() for name in REAL_STATE}
        write_cache(cached, save(state))

    def update(self, images: Tensor) -> None:
        self.fid.update(images, real=False)

    def compute(self) -> float:
        real, generated = (self._gaussian(side) for side in ("real", "fake"))
        self.fid.reset()
        fewest, features = min(real.count, generated.count), len(real.mean)
        if fewest <= features:
            message = f"{fewest:,} images do not determine the covariance of {features:,} features; use more images"
            warnings.warn(ScoreWarning(message), stacklevel=2)
        return frechet_distance(real, generated)

    def _gaussian(self, side: str) -> Gaussian:
        """What torchmetrics has gathered of "real" or "fake" images."""
        total, products, count = (
            getattr(self.fid, f"{side}_features_{state}") for state in ("sum", "cov_sum", "num_samples")
        )
        mean = total / count
        return Gaussian(int(count), mean, (products - count * torch.outer(mean, mean)) / (count - 1))

    def _load(self, cached: Path) -> bool:
        """Whether the real statistics could be read; a cache file that was altered is computed anew."""
        content = read_cache(cached)
        if content is None:
            return False
        state = load(content)
        for name in REAL_STATE:
            setattr(self.fid, name, state[name].to(getattr(self.fid, name)))
        return True


@dataclass(frozen=True)
class Gaussian:
    """Mean `(d,)` and unbiased covariance `(d, d)` of the features of some images."""

    count: int
    mean: Tensor
    covariance: Tensor


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """|m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁C₂)^½), also exact where covariances are singular; NaN where a feature is.

    With C = LLᵀ, the eigenvalues of C₁C₂ are the squared singular values of L₁ᵀL₂, and so the trace of the root is the
    sum of these. A root of C₁C₂ itself would lose half the digits at eigenvalues that should be zero.
    """
    if not (one.covariance.isfinite().all() and other.covariance.isfinite().all()):
        return math.nan
    roots = [covariance_root(gaussian.covariance) for gaussian in (one, other)]
    singular_values = torch.linalg.svdvals(roots[0].T @ roots[1])
    traces = one.covariance.trace() + other.covariance.trace()
    return ((one.mean - other.mean).square().sum() + traces - 2 * singular_values.sum()).item()


def covariance_root(covariance: Tensor) -> Tensor:
    """L `(d, rank)` with LLᵀ = C, without the directions in which rounding alone has left a variance."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


class _Float64Features(nn.Module):
    """An extractor whose features are float64, so that torchmetrics does not round the distance to float32."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        self.num_features = extractor.num_features

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.extractor(images).double()
