"""Inception score (Salimans et al. 2016, arXiv:1606.03498, section 4) with any classifier."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from ganbench import FeatureExtractor, Features, ScoreWarning, UsageError

from .blocks import all_finite


class InceptionScore:
    """`exp(E_x KL(p(y|x) ‖ p(y)))` of generated images, where `p(y|x)` are the class probabilities of image x.

    Computed for consecutive parts of the images, in float64; the values are the mean and the (population) standard
    deviation over the parts. The score is between 1 and the number of classes: it is high if each image clearly belongs
    to one class, and all classes are equally frequent. It ignores the real images, and it does not detect a generator
    that repeats one image per class.

    With fewer images per part, the score is lower: the mean class probabilities of a part are closer to those of its
    images. The logits come from the extractor's method `logits`. The published score is that with `inception-v3`, of
    50,000 images in 10 parts.
    """

    higher_is_better = {"mean": True, "std": None}

    def __init__(self, features: FeatureExtractor, splits: int) -> None:
        """Raises `UsageError` if the extractor is not a classifier."""
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
        """Return the mean and the standard deviation over the parts; NaN if a feature is not finite.

        Warns with `ScoreWarning` if the images are not in a random order.
        """
        if not all_finite(generated):
            return dict.fromkeys(self.higher_is_better, math.nan)
        consecutive, interleaved = self.part_scores(generated)
        if clearly_higher(interleaved, consecutive):
            message = (
                "the images are not in a random order, as if sorted by class; shuffle them, since this score is the "
                f"mean over consecutive parts. For parts with images from everywhere, it is {interleaved.mean():.3g}"
            )
            warnings.warn(ScoreWarning(message), stacklevel=2)
        return {"mean": consecutive.mean().item(), "std": consecutive.std(correction=0).item()}

    def part_scores(self, generated: Features) -> list[Tensor]:
        """Return the scores of consecutive parts, and of parts that take the images in turn, each `(splits,)`."""
        sums: list[Any] = [0.0, 0.0]  # for each part: class probabilities, entropies and number of images
        start = 0
        for batch in generated.batches():
            probabilities = self.logits(batch).double().softmax(1)
            entropies = torch.special.entr(probabilities).sum(1, keepdim=True)
            summed = torch.cat([probabilities, entropies, torch.ones_like(entropies)], 1)
            positions = torch.arange(start, start + len(batch), device=batch.device)
            # part i consists of the images from floor(i N / splits) to floor((i + 1) N / splits) - 1
            consecutive = ((positions + 1) * self.splits - 1) // len(generated)
            for kind, parts in enumerate((consecutive, positions % self.splits)):
                membership = (parts == torch.arange(self.splits, device=batch.device)[:, None]).double()
                sums[kind] = sums[kind] + membership @ summed
            start += len(batch)
        means = [each[:, :-1] / each[:, -1:] for each in sums]
        # the mean divergence is the entropy of the mean probabilities minus the mean entropy
        return [(torch.special.entr(each[:, :-1]).sum(1) - each[:, -1]).exp() for each in means]


def clearly_higher(scores: Tensor, others: Tensor) -> bool:
    """Return whether the mean of scores is more than 10% and five standard errors above that of others."""
    difference, error = scores.mean() - others.mean(), (scores.var(correction=0) + others.var(correction=0)).sqrt()
    return bool(difference > 0.1 * others.mean() and difference > 5 * error / math.sqrt(len(scores)))
