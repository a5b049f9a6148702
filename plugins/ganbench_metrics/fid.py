"""Fréchet inception distance (Heusel et al. 2017, arXiv:1706.08500, eq. 6) by torchmetrics, over any features."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from ganbench import FeatureExtractor, ReferenceImages, read_cache, write_cache

REAL_STATE = ("real_features_sum", "real_features_cov_sum", "real_features_num_samples")


class FID:
    """The distance between generated and real images' features, as Gaussians with float64 statistics.

    Zero for equal distributions, without an upper bound. It is biased by the number of images on either side: compare
    only values whose counts are equal.
    """

    better: Literal["lower", "higher"] = "lower"

    def __init__(self, extractor: FeatureExtractor, device: str, cache_dir: Path) -> None:
        self.stamp: dict[str, Any] = {
            "implementation": f"torchmetrics {version('torchmetrics')}, float64",
            **extractor.stamp,
        }
        self.label = f"FID ({extractor.stamp['extractor']})"
        self.cache_dir = cache_dir / "fid"
        # defaults that could change between versions of torchmetrics are spelt out; resizing is the extractor's
        self.fid = FrechetInceptionDistance(
            _Float64Features(extractor), reset_real_features=False, normalize=False, antialias=False
        ).to(device)

    def fit(self, reference: ReferenceImages) -> None:
        """Take in the real images' statistics, from the cache if they were computed before."""
        key = json.dumps({**self.stamp, "real": reference.fingerprint, "count": reference.count}, sort_keys=True)
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
        value = self.fid.compute().item()
        self.fid.reset()
        return value

    def _load(self, cached: Path) -> bool:
        """Whether the real statistics could be read; a cache file that was altered is computed anew."""
        content = read_cache(cached)
        if content is None:
            return False
        state = load(content)
        for name in REAL_STATE:
            setattr(self.fid, name, state[name].to(getattr(self.fid, name)))
        return True


class _Float64Features(nn.Module):
    """An extractor whose features are float64, so that torchmetrics does not round the distance to float32."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        self.num_features = extractor.num_features

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.extractor(images).double()
