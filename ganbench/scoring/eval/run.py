"""Runs an evaluation: opens the images and the reference, scores, and builds the result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganbench.errors import GanbenchError, UsageError
from ganbench.plugin.registry import Registry
from ganbench.results.layout import CHECKPOINT, is_run_directory
from ganbench.results.schema import Result, load_result
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.runtime.process_state import fresh_process_state
from ganbench.scoring.dataset import open_dataset
from ganbench.scoring.reference import DEFAULT_SEED, ReferenceData, Warn, require_images
from ganbench.scoring.reopening import open_run
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.spec.launch import read_launch
from ganbench.system.files import default_data_dir

from .evaluate import evaluate_run, evaluate_samples
from .request import Request
from .result import build_result
from .samples import count_copies, load_samples, match_shape


@dataclass(frozen=True)
class RequestedEvaluation:
    """Scores images in files or in an array, or the trained model of a run."""

    request: Request
    registry: Registry
    device: torch.device
    data_dir: Path | None
    warn: Warn  # is called with each warning about a score

    def score(self, images: Path | np.ndarray) -> Result:
        """Score what the request was checked for. Raises a subclass of `GanbenchError` for errors of the user."""
        if isinstance(images, Path) and is_run_directory(images):
            return self._score_run(images)
        with fresh_process_state(self.device):
            return self._score_images(images)

    def _score_images(self, images: Path | np.ndarray) -> Result:
        request = self.request
        spec = request.spec(self.registry, None, request.count)  # its counts are only known when the images are read
        named = request.reference_seed(self.registry)
        reference = self._open_reference(spec, DEFAULT_SEED if named is None else named, None, None)
        shape = require_images(reference.data, reference.name)
        files = reference.files
        gray = files is not None and files.shape[0] == 3 and files.is_gray()
        samples = load_samples(
            images, shape, count=request.count, array=request.array, layout=request.layout, gray=gray
        )
        if files is not None and samples.shape != shape:  # both are gray
            match_shape(files, samples.shape)
            reference = ReferenceData(reference.name, *files.as_data(), files)
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
        spec = request.spec(self.registry, None, len(samples.images))
        for message in samples.warnings:
            self.warn(message)
        metrics = evaluate_samples(spec, samples, reference, DEFAULT_SEED, self.device, self.warn)
        name = samples.path.resolve().name or str(samples.path)
        return build_result(name, spec, spec.plugin_configs(), reference.record, metrics, str(self.device))

    def _score_run(self, path: Path) -> Result:
        trained = open_run(path, self.registry, self.device)
        with fresh_process_state(self.device):
            own = trained.training.seed
            spec = self.request.spec(self.registry, trained.progress.spec, None)
            for metric in spec.metrics:
                trained.source(metric.weights)  # raises if there are none
            named = self.request.reference_seed(self.registry)
            data_seed = own if named is None else named
            reference = self._open_reference(spec, data_seed, path, trained.sampler.data_shape)
            if reference.data.data_shape != trained.sampler.data_shape:
                raise UsageError(
                    f"{path}: its images have the shape {trained.sampler.data_shape} (channels, height, width), but "
                    f"those of {reference.name} {reference.data.data_shape}; compare with other images"
                )
            seed = own if self.request.seed is None else self.request.seed
            metrics = evaluate_run(spec, trained, reference, self.device, self.warn, data_seed=data_seed, seed=seed)
            plugins = [trained.model, *spec.plugin_configs()]
            return build_result(
                trained.progress.spec["name"], spec, plugins, reference.record, metrics, str(self.device)
            )

    def _open_reference(
        self, spec: EvaluationSpec, seed: int, scored: Path | None, shape: tuple[int, ...] | None
    ) -> ReferenceData:
        """Open the images to compare with; those from files must have the shape of an image, if one is given.

        `scored` is the run that is scored, if it is one. The dataset of a run is read from the folder that the run read
        it from; warns if it has other content now.
        """
        if spec.dataset is not None:
            run = self.request.reference_run(scored)
            folder = self.data_dir or data_dir_of(run or scored) or default_data_dir()
            data, record = open_dataset(spec.dataset, seed, self.device, folder, self.warn)
            if data.notice:
                self.warn(data.notice)
            if run and content_of(run) not in (None, record.content_sha256):
                self.warn(
                    f"{run}: the images to compare with are not those of the run: {spec.dataset.plugin} now has other "
                    "images, labels or classes, so the scores may differ from the run's for that reason alone"
                )
            return ReferenceData(str(spec.dataset.plugin), data, record)
        against = self.request.against
        assert against is not None
        if shape is not None and len(shape) != 3:
            raise UsageError(f"--against {against}: the run generates vectors; compare with a dataset of vectors")
        files = load_samples(Path(against), shape, layout=self.request.layout)
        for message in files.warnings:
            self.warn(message)
        return ReferenceData(against, *files.as_data(), files)


def data_dir_of(run: Path | None) -> Path | None:
    """Return the data folder that a run, if there is one, was started with, if it still exists."""
    given = read_launch(run).data_dir if run else None
    return Path(given) if given and Path(given).is_dir() else None


def content_of(run: Path) -> str | None:
    """Return the hash of the data of a run; None if it was not recorded, because the run has not trained."""
    with suppress(GanbenchError):
        return load_result(run).data.content_sha256
    with suppress(GanbenchError):
        return load_checkpoint(run / CHECKPOINT).progress.data.content_sha256
    return None
