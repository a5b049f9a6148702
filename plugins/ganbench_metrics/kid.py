"""Kernel inception distance (Bińkowski et al. 2018, arXiv:1801.01401, section 4) with any features."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ganbench import FeatureExtractor, Features

from .blocks import all_finite

SEED = 0  # a constant, so that all runs compare with the same subsets of real images
GATHERED_BYTES = 256 * 2**20  # features of the subsets in memory, on either side
ROWS = 1024  # rows of the kernel matrix in memory


class KID:
    """The mean squared maximum mean discrepancy of random subsets of generated and real images, in float64.

    The kernel is `k(x, y) = (x·y / d + 1)³` for d features. For subsets X and Y of m images each, the unbiased estimate
    is `Σ_{i≠j} k(xᵢ, xⱼ) / (m (m - 1)) + Σ_{i≠j} k(yᵢ, yⱼ) / (m (m - 1)) - 2 Σ_{i,j} k(xᵢ, yⱼ) / m²`. The values are
    its mean and its (population) standard deviation over the subsets.

    For equal distributions, the mean is 0 on average, and may be slightly negative. Unlike FID, it is not biased by the
    number of images. Subsets are drawn without replacement, by a random number generator with a constant seed.

    Memory: the features of the subsets, at most 256 MiB for either side (or one subset, if it is larger), and blocks
    of the kernel matrix with 1,024 rows.
    """

    higher_is_better = {"mean": False, "std": None}

    def __init__(self, features: FeatureExtractor, subsets: int, subset_size: int) -> None:
        self.features = features
        self.subsets = subsets
        self.subset_size = subset_size
        self.min_images = subset_size
        self.protocol: dict[str, Any] = {
            "kernel": "(x.y / d + 1)^3",
            "estimator": "unbiased",
            "statistics": "float64",
            "subset_seed": SEED,
        }
        self.label = f"KID ({features.protocol['extractor']})"

    def score(self, real: Features, generated: Features) -> dict[str, float]:
        """Return the mean and the standard deviation over subsets; NaN if a feature is not finite."""
        if not (all_finite(real) and all_finite(generated)):
            return dict.fromkeys(self.higher_is_better, math.nan)
        rng = torch.Generator().manual_seed(SEED)
        drawn = [self.draw(len(features), rng) for features in (real, generated)]
        sides = zip(self.gather(real, drawn[0]), self.gather(generated, drawn[1]), strict=True)
        values = torch.stack([squared_mmd(one, other) for one, other in sides])
        return {"mean": values.mean().item(), "std": values.std(correction=0).item()}

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Return the indices of the images in each subset, sorted: `(subsets, subset_size)`, int64."""
        subsets = [torch.randperm(count, generator=rng)[: self.subset_size] for _ in range(self.subsets)]
        return torch.stack(subsets).sort(1).values

    def gather(self, features: Features, subsets: Tensor) -> Iterator[Tensor]:
        """Yield the features of each subset, `(subset_size, d)`, reading all features once for several subsets."""
        subset_bytes = self.subset_size * self.features.num_features * torch.float32.itemsize
        for group in subsets.split(max(1, GATHERED_BYTES // subset_bytes)):
            indices, positions = group.unique(return_inverse=True)
            rows = select(features, indices)
            for subset in positions.to(rows.device):
                yield rows[subset]


def select(features: Features, indices: Tensor) -> Tensor:
    """Return the features of the images at sorted `indices`."""
    selected, start = [], 0
    for batch in features.batches():
        stop = start + len(batch)
        within = indices[(indices >= start) & (indices < stop)] - start
        selected.append(batch[within.to(batch.device)])
        start = stop
    return torch.cat(selected)


def squared_mmd(one: Tensor, other: Tensor) -> Tensor:
    """Return the unbiased estimate for features `(m, d)` of two sets of m images, a scalar in float64."""
    count, one, other = len(one), one.double(), other.double()
    within = sum(kernel_sum(each, each) - kernel(each.square().sum(1), each.shape[1]).sum() for each in (one, other))
    return within / (count * (count - 1)) - 2 * kernel_sum(one, other) / count**2


def kernel_sum(one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of the kernel over all pairs of one set and the other."""
    ones = one.new_ones(())
    # x·y / d + 1, of which the kernel is the cube
    roots = (torch.addmm(ones, rows, other.T, alpha=1 / one.shape[1]).flatten() for rows in one.split(ROWS))
    return torch.stack([root.square() @ root for root in roots]).sum()


def kernel(products: Tensor, dimensions: int) -> Tensor:
    return (products / dimensions + 1) ** 3
