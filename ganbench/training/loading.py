"""Loads a run's dataset, and checks that it fits the run."""

from __future__ import annotations

from pathlib import Path

import torch

from ganbench.errors import UsageError
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.interfaces import ImageData
from ganbench.results.schema import DataRecord
from ganbench.scoring.dataset import open_dataset
from ganbench.spec.benchmark import BenchmarkSpec


def load_data(
    spec: BenchmarkSpec, device: torch.device, data_dir: Path, callback: Callback
) -> tuple[ImageData, DataRecord]:
    """Open the dataset, and check that the run can use it.

    Raises `PluginError` for a dataset that breaks its contract and `UsageError` for one that is too small or missing.
    """
    callback.on_status("loading data")
    plugin = str(spec.dataset.plugin)
    data, record = open_dataset(spec.dataset, spec.training.seed, device, data_dir, callback.on_warning)
    image_shape = data.image_shape
    images_per_step = spec.training.images_per_step
    if images_per_step > len(data.train):
        factors = " * discriminator_steps" if spec.training.discriminator_steps > 1 else ""
        raise UsageError(
            f"benchmark {spec.name}: training.batch_size{factors}: {images_per_step} is more than the "
            f"{len(data.train)} images of the train split"
        )
    if not can_be_shown(image_shape) and (spec.sample_images.real or spec.sample_images.generated):
        callback.on_warning(
            f"sample images are not saved: the images of {plugin} have {image_shape[0]} channels, and only images with "
            "1 or 3 channels can be shown"
        )
    return data, record


def can_be_shown(image_shape: tuple[int, int, int]) -> bool:
    """Return whether images of this shape can be saved as sample images: they are gray or RGB."""
    return image_shape[0] in (1, 3)
