"""Finds extractors whose features say nothing about the images: the same for all, or others at each call."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.plugin.interfaces import FeatureMetric
from ganbench.scoring.calls import extractor_name
from ganbench.scoring.prepared_metric import PreparedMetric
from ganbench.scoring.real_data import RealData
from ganbench.scoring.sampling import evaluation_context

IMAGES = 256  # to compare
ROUNDING = 1e-10  # variance over images, relative to the mean square, that is due to rounding
UNSTABLE = 0.01  # variance of an image's features over calls, relative to that over images


def extractor_fault(prepared: PreparedMetric, real_data: RealData, images: Tensor) -> str | None:
    """Return what is wrong with the features of a metric, or None.

    The features of images, uint8 `(N, C, H, W)`, are extracted twice: in the opposite order, in other batches, and with
    another seed of the default random number generators.
    """
    metric = prepared.metric
    if not isinstance(metric, FeatureMetric):
        return None
    name = extractor_name(prepared.config, metric.features)
    first = features(metric, real_data, images[:IMAGES], seed=0)
    again = features(metric, real_data, images[:IMAGES].flip(0), seed=1).flip(0)
    over_images = first.var(0).sum()
    over_calls = (first - again).square().mean(0).sum() / 2
    if over_images <= ROUNDING * first.square().mean(0).sum():
        return f"{name} returns the same features for all images"
    if over_calls > UNSTABLE * over_images:
        return f"{name} returns different features for the same images at each call"
    return None


def features(metric: FeatureMetric, real_data: RealData, images: Tensor, seed: int) -> Tensor:
    """Return features `(N, D)` in float64."""
    with evaluation_context(seed, real_data.device):
        batches = images.split(max(2, real_data.batch_size // (seed + 1)))
        return torch.cat([metric.features(batch.to(real_data.device)).double() for batch in batches])
