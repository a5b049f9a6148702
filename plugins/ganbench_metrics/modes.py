"""Modes covered and high-quality samples (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761, section 4.1)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganbench import ReferenceImages, UsageError

RADIUS = 3.0  # standard deviations


class Modes:
    """How many modes of labeled 2-D data the generated points cover, and how many of the points are of high quality.

    A point is of high quality if it is within three standard deviations of the nearest mode. A mode is covered if it is
    the nearest mode of at least one point of high quality. `covered` is the number of covered modes, and `high_quality`
    the share of points of high quality; for Gaussians, that of real points is 1 - exp(-9 / 2) = 0.9889. More points
    cover more modes: compare only values with equal counts (2,500 in the paper).

    The modes are the classes of the real data: the center is the mean of the points with a label, and the standard
    deviation is that of their coordinates, averaged as a variance over both.
    """

    label = "modes"
    higher_is_better = {"covered": True, "high_quality": True}
    uses_real_labels = True
    protocol: dict[str, Any] = {
        "modes": "means and standard deviations of the classes",
        "high_quality": "within 3 standard deviations of the nearest mode",
        "covered": "nearest mode of at least one high-quality sample",
    }

    def __init__(self, data_shape: tuple[int, ...]) -> None:
        """Raise `UsageError` for data that is not 2-D points."""
        if data_shape != (2,):
            raise UsageError(
                f"metric 'modes' requires points of shape (2,), but this dataset has data of shape {data_shape}; use "
                "another metric"
            )

    def fit(self, reference: ReferenceImages) -> None:
        """Compute centers and standard deviations. Raises `UsageError` for a class without two different points."""
        assert reference.labels is not None
        points = torch.cat(list(reference.batches())).double()
        classes = reference.labels.unique()
        of_class = [points[(reference.labels == label).to(points.device)] for label in classes]
        self.centers = torch.stack([each.mean(0) for each in of_class])
        self.stds = torch.stack([each.var(0, correction=0).mean().sqrt() for each in of_class])
        if not self.stds.all():
            raise UsageError(
                f"metric 'modes': class {int(classes[self.stds.argmin()])} has fewer than two distinct real points, so "
                "its standard deviation is unknown; use a larger dataset"
            )
        self._reset()

    def _reset(self) -> None:
        self.samples = 0
        self.high_quality = torch.zeros(len(self.centers), dtype=torch.int64, device=self.centers.device)  # by mode

    def update(self, points: Tensor) -> None:
        """Add generated points, float32 `(N, 2)`."""
        distances = torch.cdist(points.double(), self.centers, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.min(1)
        good = nearest.values <= RADIUS * self.stds[nearest.indices]
        self.high_quality += nearest.indices[good].bincount(minlength=len(self.centers))
        self.samples += len(points)

    def compute(self) -> dict[str, float]:
        """Return both values; NaN if no point was added."""
        covered, good, samples = self.high_quality.count_nonzero().item(), self.high_quality.sum().item(), self.samples
        self._reset()
        return {"covered": float(covered), "high_quality": good / samples if samples else math.nan}
