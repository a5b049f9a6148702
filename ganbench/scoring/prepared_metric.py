"""A metric that has processed the real images: how it does so, and its scores of real images themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ganbench.plugin.interfaces import FeatureMetric, Metric, NetworksMetric, ReferenceImages, Split
from ganbench.runtime.rng import make_rng
from ganbench.spec.configs import MetricConfig
from ganbench.system.files import read_cache, write_cache

from .calls import compute, extract, extractor_config, score_features, score_warnings, update_metric
from .features import FeatureFile, StoredFeatures
from .identity import config_identity, software_of
from .real_data import REAL_DATA_SEED, RealData, digest, random_images
from .requirements import min_images, uses_labels, uses_real_labels


@dataclass
class PreparedMetric:
    """A metric that has processed the real images, with everything that its scores depend on."""

    config: MetricConfig
    metric: FeatureMetric | Metric | NetworksMetric
    protocol: dict[str, Any]
    software: dict[str, str]
    real_features: StoredFeatures | None = None
    real_data_scores: dict[str, float | None] = field(default_factory=dict)  # by name of the metric's value
    real_data_samples: int = 0
    warnings: list[str] = field(default_factory=list)


def fit(prepared: PreparedMetric, real_data: RealData, split: Split, indices: Tensor) -> None:
    """Fit a metric to the real images."""
    metric, identity = prepared.metric, digest({**prepared.protocol, **prepared.software, **real_data.execution})
    if isinstance(metric, FeatureMetric):
        features = stored_features(prepared, real_data, prepared.config.split, split, indices)
        labels = real_data.labels(split, indices) if uses_real_labels(metric) else None
        derived = real_data.context.cache_dir / "derived" / identity
        prepared.real_features = StoredFeatures(features, labels, derived)
    elif isinstance(metric, Metric):
        labels = real_data.labels(split, indices) if uses_real_labels(metric) else None
        reference = ReferenceImages(
            batches=lambda: real_data.images(split, indices), count=len(indices), cache_key=identity, labels=labels
        )
        with prepared.config.plugin.wrap_errors("raised in fit"):
            metric.fit(reference)


def stored_features(
    prepared: PreparedMetric, real_data: RealData, name: str, split: Split, indices: Tensor
) -> FeatureFile:
    """Return the features of the images at `indices` of a split, for a metric that compares features."""
    metric = prepared.metric
    assert isinstance(metric, FeatureMetric)
    identity: dict[str, Any] = {
        **metric.features.protocol,
        **getattr(metric.features, "software", {}),
        "torch": prepared.software["torch"],
        "ganbench": prepared.software["ganbench"],
    }
    own = extractor_config(prepared.config, metric.features)
    if own is not None:
        identity |= {**config_identity(own, "features"), **software_of(own)}
    else:  # the metric has built it itself, perhaps around one of its options
        identity |= {**config_identity(prepared.config, "metric"), **software_of(prepared.config)}
        identity["features.state"] = prepared.protocol.get("metric.features.state")  # None without weights
    with prepared.config.plugin.wrap_errors("raised during feature extraction"):
        return real_data.features(partial(extract, prepared.config, metric.features), identity, name, split, indices)


def score_real_data(prepared: PreparedMetric, real_data: RealData) -> None:
    """Score up to `num_samples` images of the other split; with that many, about a perfect generator's score."""
    config = prepared.config
    name = "train" if config.split == "test" else "test"
    other = real_data.split(name)
    if other is None:
        return
    if real_data.data.test is real_data.data.train:
        prepared.warnings.append("no score of real data: the train and test splits are the same")
        return
    indices = torch.randperm(len(other), generator=make_rng(REAL_DATA_SEED, "floor"))[: config.num_samples]
    if len(indices) < (needed := min_images(prepared.metric)):
        prepared.warnings.append(
            f"no score of real data: the {name} split has {len(indices):,} images, but {needed:,} are required"
        )
        return
    prepared.real_data_samples = len(indices)
    if len(indices) < config.num_samples:  # the bias of FID, for one, depends on their number
        prepared.warnings.append(
            f"real data was scored on {len(indices):,} images instead of {config.num_samples:,}; a perfect generator's "
            "score may differ"
        )
    if name in real_data.record.random_splits:
        prepared.warnings.append(f"score of real data: {random_images(name)}")
    identity = {**prepared.protocol, **prepared.software, **real_data.execution, "real_data_samples": len(indices)}
    cached = real_data.context.cache_dir / "real-data-scores" / digest(identity)
    content = read_cache(cached)
    if content is not None:
        entry = json.loads(content)
        prepared.real_data_scores, messages = entry["scores"], entry["warnings"]
    else:
        messages = []
        with score_warnings(messages):
            prepared.real_data_scores = score_images(prepared, real_data, name, other, indices)
        entry = {"scores": prepared.real_data_scores, "warnings": messages}
        write_cache(cached, json.dumps(entry).encode())
    # a score of equally many generated images may have the same warning
    about = "" if len(indices) == config.num_samples else "score of real data: "
    warned = [f"{about}{message}" for message in messages]
    prepared.warnings += [message for message in warned if message not in prepared.warnings]


def score_images(
    prepared: PreparedMetric, real_data: RealData, name: str, split: Split, indices: Tensor
) -> dict[str, float | None]:
    """Return the metric's values for the images at `indices` of a split of any data, such as other real images."""
    config, metric = prepared.config, prepared.metric
    labels = real_data.labels(split, indices) if uses_labels(metric) else None
    if isinstance(metric, FeatureMetric):
        features = stored_features(prepared, real_data, name, split, indices)
        return score_features(config, metric, prepared.real_features, StoredFeatures(features, labels))
    batches = None if labels is None else labels.split(real_data.batch_size)
    for number, images in enumerate(real_data.images(split, indices)):
        update_metric(config, metric, images, batches[number].to(images.device) if batches else None)
    return compute(config, metric)
