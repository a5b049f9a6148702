"""Loads a run's dataset: builds it, checks it, and identifies its content."""

from __future__ import annotations

from pathlib import Path

import torch

from ganbench.data.contract import changes_between_reads, check_data
from ganbench.data.labels import known_label_counts
from ganbench.errors import UsageError
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.interfaces import ImageData
from ganbench.plugin.registrations import DatasetContext
from ganbench.results.schema import DataRecord
from ganbench.scoring.identity import data_content
from ganbench.scoring.sampling import evaluation_context
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.system.files import cache_dir


def load_data(
    spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback
) -> tuple[ImageData, DataRecord]:
    """Build the dataset, check both splits, and hash their content.

    Raises `PluginError` for a dataset that breaks its contract and `UsageError` for one that is too small or missing.
    """
    callback.on_status("loading data")
    seed, plugin = spec.training.seed, str(spec.dataset.plugin)
    built: ImageData = spec.dataset.build(DatasetContext(data_dir=data_dir, cache_dir=cache_dir(), seed=seed))
    with evaluation_context(seed, device):  # a dataset may use random numbers to read an image
        data = check_data(built, plugin)
        image_shape = data.image_shape
        random_reads = changes_between_reads(data)
    images_per_step = spec.training.images_per_step
    if images_per_step > len(data.train):
        factors = " * discriminator_steps" if spec.training.discriminator_steps > 1 else ""
        raise UsageError(
            f"benchmark {spec.name}: training.batch_size{factors}: {images_per_step} is more than the "
            f"{len(data.train)} images of the train split"
        )
    with evaluation_context(seed, device):
        content_sha256, content_basis = data_content(data, spec.dataset)
    if random_reads:
        callback.on_warning(
            f"{plugin}: an image differs between two reads with equal seeds, so neither training nor scores can be "
            "reproduced; use the default random number generators of torch, Python or NumPy"
        )
    if not can_be_shown(image_shape) and (spec.sample_images.real or spec.sample_images.generated):
        callback.on_warning(
            f"sample images are not saved: the images of {plugin} have {image_shape[0]} channels, and only images with "
            "1 or 3 channels can be shown"
        )
    record = DataRecord(
        source=data.source,
        fingerprint=data.fingerprint,
        content_sha256=content_sha256,
        content_basis=content_basis,
        train_images=len(data.train),
        test_images=0 if data.test is None else len(data.test),
        notice=data.notice,
        image_shape=image_shape,
        num_classes=data.num_classes,
        label_counts=known_label_counts(data),
    )
    return data, record


def can_be_shown(image_shape: tuple[int, int, int]) -> bool:
    """Return whether images of this shape can be saved as sample images: they are gray or RGB."""
    return image_shape[0] in (1, 3)
