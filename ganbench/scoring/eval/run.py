"""Runs an evaluation: opens the images and the reference, scores, and builds the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganbench.errors import UsageError
from ganbench.plugin.registry import Registry
from ganbench.results.run_directory import is_run_directory
from ganbench.results.schema import Result
from ganbench.runtime.device import resolve_device
from ganbench.runtime.process_state import fresh_process_state
from ganbench.scoring.dataset import open_dataset
from ganbench.scoring.trained import open_run
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.spec.launch import read_launch
from ganbench.system.files import default_data_dir, named_data_dir

from .arrays import Layout
from .evaluate import ReferenceData, Warn, evaluate_run, evaluate_samples, require_images
from .request import Request
from .result import build_result
from .samples import count_copies, load_samples

DEFAULT_SEED = 42  # of datasets, as in runs


@dataclass(frozen=True)
class ArrayOptions:
    """How to read a NumPy file."""

    array: str | None = None
    layout: Layout | None = None


def run_evaluation(
    images: Path | np.ndarray,
    request: Request,
    registry: Registry,
    device_name: str,
    data_dir: Path | None,
    seed: int | None,
    options: ArrayOptions,
    warn: Warn,
) -> Result:
    """Score images in files or in an array, or those of a run, as requested.

    `seed` is that of a run's images. `warn` is called with each warning about a score. Raises a subclass of
    `GanbenchError` for errors that a user can cause.
    """
    if request.count is not None and request.count < 2:
        raise UsageError(f"the number of images to score must be at least 2, got {request.count}")
    device = resolve_device(device_name)
    if isinstance(images, Path) and is_run_directory(images):
        return evaluate_directory(images, request, registry, device, data_dir, seed, warn)
    with fresh_process_state(device):
        return evaluate_images(images, request, registry, device, data_dir, options, warn)


def evaluate_images(
    images: Path | np.ndarray,
    request: Request,
    registry: Registry,
    device: torch.device,
    data_dir: Path | None,
    options: ArrayOptions,
    warn: Warn,
) -> Result:
    """Score images from files or from an array."""
    spec = request.spec(registry, None, request.count)  # its counts are only known when the images are read
    folder = data_dir or default_data_dir()
    reference = open_reference(request, spec, DEFAULT_SEED, device, folder, None, warn, options.layout)
    shape = require_images(reference.data, reference.name)
    samples = load_samples(images, shape, count=request.count, array=options.array, layout=options.layout)
    asked = max(metric.num_samples for metric in spec.metrics)
    if len(samples.images) < asked:
        samples.warnings.append(
            f"{samples.path}: {len(samples.images):,} images instead of {asked:,}; some scores, such as a Fréchet "
            "distance, get worse with fewer images, so compare only scores of equally many images"
        )
    if copies := count_copies(samples.images, reference.data):
        samples.warnings.append(
            f"{samples.path}: {copies:,} of {len(samples.images):,} images are exact copies of images of "
            f"{reference.name}, so the scores are not those of new images"
        )
    spec = request.spec(registry, None, len(samples.images))
    for message in samples.warnings:
        warn(message)
    metrics = evaluate_samples(spec, samples, reference, DEFAULT_SEED, device, warn)
    name = samples.path.resolve().name or str(samples.path)
    return build_result(name, spec, spec.plugin_configs(), reference.record, metrics, str(device))


def evaluate_directory(
    path: Path,
    request: Request,
    registry: Registry,
    device: torch.device,
    data_dir: Path | None,
    seed: int | None,
    warn: Warn,
) -> Result:
    """Score the trained model of a run."""
    trained = open_run(path, registry, device)
    with fresh_process_state(device):
        own = trained.training.seed
        spec = request.spec(registry, trained.progress.spec, None)
        for metric in spec.metrics:
            trained.source(metric.weights)  # raises if there are none
        folder = data_dir or named_data_dir(None) or data_dir_of(path) or default_data_dir()
        reference = open_reference(request, spec, own, device, folder, trained.sampler.data_shape, warn)
        if reference.data.data_shape != trained.sampler.data_shape:
            raise UsageError(
                f"{path}: its images have the shape {trained.sampler.data_shape} (channels, height, width), but those "
                f"of {reference.name} {reference.data.data_shape}; compare with other images"
            )
        if request.against is None and reference.record.content_sha256 != trained.progress.data.content_sha256:
            warn(
                f"{path}: the images to compare with are not those of the run: {reference.name} now has other images, "
                "labels or classes, so the scores may differ from the run's for that reason alone"
            )
        metrics = evaluate_run(spec, trained, reference, own, own if seed is None else seed, device, warn)
        plugins = [trained.model, *spec.plugin_configs()]
        return build_result(trained.progress.spec["name"], spec, plugins, reference.record, metrics, str(device))


def data_dir_of(run: Path) -> Path | None:
    """Return the data folder that a run was started with, if it still exists."""
    given = read_launch(run).data_dir
    return Path(given) if given and Path(given).is_dir() else None


def open_reference(
    request: Request,
    spec: EvaluationSpec,
    seed: int,
    device: torch.device,
    data_dir: Path,
    shape: tuple[int, ...] | None,
    warn: Warn,
    layout: Layout | None = None,
) -> ReferenceData:
    """Open the images to compare with; those from files must have the shape of an image, if one is given.

    `layout` is the order of the axes of an array.
    """
    if spec.dataset is not None:
        data, record = open_dataset(spec.dataset, seed, device, data_dir, warn)
        if data.notice:
            warn(data.notice)
        return ReferenceData(str(spec.dataset.plugin), data, record)
    assert request.against is not None
    if shape is not None and len(shape) != 3:
        raise UsageError(f"--against {request.against}: the run generates vectors; compare with a dataset of vectors")
    files = load_samples(Path(request.against), shape, layout=layout)
    for message in files.warnings:
        warn(message)
    return ReferenceData(request.against, *files.as_data(), files)
