"""Inception score (Salimans et al. 2016, arXiv:1606.03498, section 4) with any classifier."""

from __future__ import annotations

import math
from typing import Any

import torch

from ganbench import FeatureExtractor, Features, UsageError

from .blocks import all_finite


class InceptionScore:
    """`exp(E_x KL(p(y|x) ‖ p(y)))` of generated images, where `p(y|x)` are the class probabilities of image x.

    Computed for consecutive parts of the images, in float64; the values are the mean and the (population) standard
    deviation over the parts. The score is between 1 and the number of classes: it is high if each image clearly belongs
    to one class, and all classes are equally frequent. It ignores the real images, and it does not detect a generator
    that repeats one image per class.

    The logits come from the extractor's method `logits`. The published score is that with `inception-v3`.
    """

    higher_is_better = {"mean": True, "std": False}

    def __init__(self, features: FeatureExtractor, splits: int) -> None:
        """Raises `UsageError` if the extractor is no classifier."""
        name = features.protocol["extractor"]
        logits: Any = getattr(features, "logits", None)
        if not callable(logits):
            raise UsageError(
                f"inception-score: feature extractor '{name}' has no class logits; use one with the method `logits`, "
                "such as inception-v3 or fashion-cnn"
            )
        self.features = features
        self.logits = logits
        self.splits = splits
        self.min_images = splits
        self.protocol: dict[str, Any] = {"statistics": "float64", "parts": "consecutive"}
        self.label = f"inception score ({name})"

    def score(self, real: Features, generated: Features) -> dict[str, float]:
        """Return the mean and the standard deviation over the parts; NaN if a feature is not finite."""
        if not all_finite(generated):
            return dict.fromkeys(self.higher_is_better, math.nan)
        sums: Any = 0.0  # for each part: class probabilities, entropies and number of images, `(splits, classes + 2)`
        start = 0
        for batch in generated.batches():
            probabilities = self.logits(batch).double().softmax(1)
            entropies = torch.special.entr(probabilities).sum(1, keepdim=True)
            # part i consists of the images from floor(i N / splits) to floor((i + 1) N / splits) - 1
            positions = torch.arange(start, start + len(batch), device=batch.device)
            parts = ((positions + 1) * self.splits - 1) // len(generated)
            membership = (parts == torch.arange(self.splits, device=batch.device)[:, None]).double()
            sums = sums + membership @ torch.cat([probabilities, entropies, torch.ones_like(entropies)], 1)
            start += len(batch)
        means = sums[:, :-1] / sums[:, -1:]
        # the mean divergence is the entropy of the mean probabilities minus the mean entropy
        scores = (torch.special.entr(means[:, :-1]).sum(1) - means[:, -1]).exp()
        return {"mean": scores.mean().item(), "std": scores.std(correction=0).item()}
