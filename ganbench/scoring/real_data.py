"""The real images that metrics compare with, their features, and the scores of real images themselves."""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench.data.batches import select_images
from ganbench.errors import GanbenchWarning
from ganbench.plugin.interfaces import (
    FeatureMetric,
    ImageData,
    Metric,
    NetworksMetric,
    ReferenceImages,
    Split,
)
from ganbench.plugin.registrations import BuildContext
from ganbench.results.schema import DataRecord
from ganbench.runtime.rng import make_rng
from ganbench.spec.configs import MetricConfig
from ganbench.system.files import read_cache, write_cache

from .calls import compute, extract, score_features, score_warnings, update_metric
from .features import FeatureFile, FeatureWriter, StoredFeatures, cached_features, writable_features
from .identity import DIGITS, config_identity, software_of
from .requirements import min_images, uses_labels, uses_real_labels

REAL_DATA_SEED = 0  # a constant, so that all runs score the same real images and can cache the score


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


class RealData:
    """The real images of a run's dataset and their features, by extractor."""

    def __init__(self, data: ImageData, record: DataRecord, context: BuildContext, batch_size: int) -> None:
        self.data = data
        self.record = record
        self.context = context
        self.batch_size = batch_size
        self.device = torch.device(context.device)
        self._features: dict[str, FeatureFile] = {}
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """The entries of a protocol that identify the data."""
        identity = {"data": self.record.content_sha256[:DIGITS]}
        if self.record.content_basis != "all images":
            identity["data_basis"] = self.record.content_basis
        return identity

    @property
    def execution(self) -> dict[str, Any]:
        """What the rounding of features depends on, apart from the software."""
        return {"batch_size": self.batch_size, "device": self.device.type}

    def split(self, name: str) -> Split | None:
        return self.data.test if name == "test" else self.data.train

    def images(self, split: Split, indices: Tensor) -> Iterator[Tensor]:
        """Yield the images at `indices`, in that order, in batches on the device: uint8, or vectors, float32."""
        return select_images(split, indices, self.batch_size, self.device)

    def labels(self, split: Split, indices: Tensor) -> Tensor:
        """Return the labels at `indices`, int64 `(N,)`, on the CPU. A streamed split reads the images as well."""
        if type(split) is TensorDataset:
            return split.tensors[1].cpu().long()[indices]
        return torch.tensor([int(split[index][1]) for index in indices.tolist()])

    def features(
        self, extractor: Callable[[Tensor], Tensor], identity: dict[str, Any], name: str, split: Split, indices: Tensor
    ) -> FeatureFile:
        """Return the features of the images at `indices`, which are extracted once for all metrics.

        `extractor` returns the features of a batch; `identity` identifies it and its software. `name` is the name of
        the split.
        """
        indices_hash = hashlib.sha256(indices.numpy().tobytes()).hexdigest()
        images = {**self.identity, **self.execution, "split": name, "indices": indices_hash}
        key = digest({"images": images, "extractor": identity})
        if key not in self._features:

            def write(writer: FeatureWriter) -> None:
                for images in self.images(split, indices):
                    writer.append(extractor(images))

            try:
                folder = self.context.cache_dir / "features"
                self._features[key] = cached_features(folder, key, self.device, write)
            except OSError as error:
                reason = error.strerror or error
                warnings.warn(f"cannot cache features in {folder}: {reason}", GanbenchWarning, stacklevel=2)
                self._temporary = self._temporary or tempfile.TemporaryDirectory(prefix="ganbench-features-")
                with writable_features(self._temporary.name):
                    self._features[key] = cached_features(Path(self._temporary.name), key, self.device, write)
        return self._features[key]


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
    own = next((used for used in prepared.config.nested() if used.built is metric.features), None)
    if own is not None:
        identity |= {**config_identity(own, "features"), **software_of(own)}
    else:  # the metric has built it itself, perhaps around one of its options
        identity |= {**config_identity(prepared.config, "metric"), **software_of(prepared.config)}
        identity["features.state"] = prepared.protocol.get("metric.features.state")  # None without weights
    with prepared.config.plugin.wrap_errors("raised during feature extraction"):
        return real_data.features(partial(extract, prepared.config, metric.features), identity, name, split, indices)


def score_real_data(prepared: PreparedMetric, real_data: RealData) -> None:
    """Score real images of the other split, up to `num_samples`: if as many, about a perfect generator's score."""
    config = prepared.config
    name = "train" if config.split == "test" else "test"
    other = real_data.split(name)
    if other is None:
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
            f"score of real data: of {len(indices):,} images instead of {config.num_samples:,}, so a perfect "
            "generator's may differ"
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


def real_indices(size: int, samples: int | None) -> Tensor:
    """Return the indices of the real images to compare with, the same in all runs: of `samples`, or of all `size`."""
    if samples is None:
        return torch.arange(size)
    return torch.randperm(size, generator=make_rng(REAL_DATA_SEED, "real samples"))[:samples].sort().values


def random_images(name: str) -> str:
    """Return the warning that the real images of a split are not always the same."""
    return (
        f"the dataset changes the images of the {name} split at random, as by flips or crops, so the real images are "
        "not the original ones; leave this to training.horizontal_flips or [[augmentations]]"
    )


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


def digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
