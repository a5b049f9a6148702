"""The real images that metrics compare with, and their features, which are extracted once for all metrics."""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench.data.batches import select_images
from ganbench.errors import GanbenchWarning
from ganbench.plugin.interfaces import ImageData, Split
from ganbench.plugin.registrations import BuildContext
from ganbench.results.schema import DataRecord
from ganbench.runtime.rng import make_rng

from .features import FeatureFile, FeatureWriter, cached_features, writable_features
from .identity import DIGITS

REAL_DATA_SEED = 0  # a constant, so that all runs score the same real images and can cache the score


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


def digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
