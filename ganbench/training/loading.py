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

    Raises `PluginError` for a dataset that breaks its contract, and `UsageError` for one that is too small or missing
    or does not suit the options of the spec.
    """
    callback.on_status("loading data")
    plugin = str(spec.dataset.plugin)
    data, record = open_dataset(spec.dataset, spec.training.seed, device, data_dir, callback.on_warning)
    shape = data.data_shape
    if len(shape) != 3:
        refuse_image_options(spec, shape)
    images_per_step = spec.training.images_per_step
    if images_per_step > len(data.train):
        factors = " * discriminator_steps" if spec.training.discriminator_steps > 1 else ""
        raise UsageError(
            f"benchmark {spec.name}: training.batch_size{factors}: {images_per_step} is more than the "
            f"{len(data.train)} images of the train split; use a smaller batch size"
        )
    if not can_be_shown(shape) and (spec.sample_images.real or spec.sample_images.generated):
        have = f"images of {plugin} have {shape[0]} channels, and only images with 1 or 3 channels can be shown"
        if len(shape) == 1:
            have = f"vectors of {plugin} have {shape[0]} features, and only vectors with 2 features can be plotted"
        callback.on_warning(f"sample images are not saved: the {have}")
    return data, record


def can_be_shown(shape: tuple[int, ...]) -> bool:
    """Return whether data of this shape can be saved as sample images: images that are gray or RGB, or 2-D points."""
    return shape[0] in (1, 3) if len(shape) == 3 else shape == (2,)


def refuse_image_options(spec: BenchmarkSpec, shape: tuple[int, ...]) -> None:
    """Raise `UsageError` for options that only make sense for images, with a dataset of vectors."""
    unsuitable = {
        "training.horizontal_flips=true": spec.training.horizontal_flips,
        "engine.memory_format=channels_last": spec.engine.memory_format == "channels_last",
    }
    for option, given in unsuitable.items():
        if given:
            raise UsageError(
                f"benchmark {spec.name}: {option} is for images, but {spec.dataset.plugin} has vectors of shape "
                f"{shape}; remove it"
            )
