"""Scores images given as files, or of a trained model, exactly as a run scores its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import FeatureMetric, ImageData, Metric
from ganbench.plugin.registrations import BuildContext
from ganbench.results.schema import DataRecord, MetricPoint, MetricResult
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.scoring.calls import score_warnings
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.preparation import fit_to_real_images, generation_protocol
from ganbench.scoring.prepared_metric import PreparedMetric, score_images
from ganbench.scoring.real_data import RealData
from ganbench.scoring.requirements import Subjects, require_real_labels, uses_labels
from ganbench.scoring.sampling import evaluation_context
from ganbench.scoring.scored_metric import ScoredMetric
from ganbench.scoring.trained import TrainedRun
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.system.files import cache_dir

from .samples import GivenImages, Shape

Warn = Callable[[str], None]


def require_images(data: ImageData, name: str) -> Shape:
    """Return the shape of a dataset's images. Raises `UsageError` if it consists of vectors."""
    if len(data.data_shape) != 3:
        raise UsageError(f"{name} consists of vectors; only a run's own generator of vectors can be scored, not files")
    return data.data_shape


@dataclass(frozen=True)
class ReferenceData:
    """The images to compare with: a dataset, or files."""

    name: str  # for error messages
    data: ImageData
    record: DataRecord
    files: GivenImages | None = None

    def real_data(self, seed: int, device: torch.device, batch_size: int) -> RealData:
        context = BuildContext(
            data_shape=self.data.data_shape,
            num_classes=self.data.num_classes,
            device=str(device),
            cache_dir=cache_dir(),
            seed=seed,
        )
        return RealData(self.data, self.record, context, batch_size)


def evaluate_samples(
    spec: EvaluationSpec, samples: GivenImages, reference: ReferenceData, seed: int, device: torch.device, warn: Warn
) -> list[MetricResult]:
    """Score images from files. Each extractor reads them once, whatever the number of metrics.

    Raises `UsageError` for a network metric, or one that needs labels.
    """
    real_data = reference.real_data(seed, device, spec.scoring.batch_size)
    data, record = samples.as_data()
    given = RealData(data, record, real_data.context, spec.scoring.batch_size)
    results: list[MetricResult] = []
    generated = f"the number of scored images of {samples.path} is"
    with deterministic_convolutions():
        for prepared in prepare(spec, reference, real_data, conditional=False, warn=warn, generated=generated):
            prepared.protocol |= {"generated_samples": len(samples.images), **samples.protocol}
            prepared.warnings += samples.warnings
            with evaluation_context(seed, device), score_warnings(prepared.warnings) as new:
                values = score_images(prepared, given, "train", data.train, torch.arange(len(samples.images)))
            for message in new:
                warn(f"{prepared.metric.label}: {message}")
            scored = ScoredMetric(prepared)
            for value in scored.values:
                value.curve.append(MetricPoint(epoch=0, images=0, value=values.get(value.name)))
            results += scored.results(0)
    return results


def evaluate_run(
    spec: EvaluationSpec,
    trained: TrainedRun,
    reference: ReferenceData,
    device: torch.device,
    warn: Warn,
    *,
    data_seed: int,
    seed: int,
) -> list[MetricResult]:
    """Score the trained model of a run, with the weights and the mode of each metric in the spec.

    `data_seed` is the seed with which the data was built, `seed` that of the images.

    Raises `UsageError` for a network metric, or one that needs labels if the model is unconditional.
    """
    real_data = reference.real_data(data_seed, device, spec.scoring.batch_size)
    metrics = prepare(spec, reference, real_data, trained.networks.conditional, warn)
    for prepared in metrics:
        prepared.protocol |= generation_protocol(
            prepared.config, trained.training, trained.ema, trained.networks, real_data
        )
        prepared.warnings += trained.caveats
    evaluator = Evaluator(
        metrics,
        real_data,
        None,
        trained.sampler,
        seed=seed,
        images_per_epoch=trained.training.images_per_epoch(trained.progress.data.train_images),
        training_batch_size=trained.training.generator_images,
        batch_size=spec.scoring.batch_size,
        warn=warn,
    )
    with deterministic_convolutions():
        evaluator.evaluate(trained.networks, trained.progress.images)
    return evaluator.results(trained.progress.images)


def prepare(
    spec: EvaluationSpec,
    reference: ReferenceData,
    real_data: RealData,
    conditional: bool,
    warn: Warn,
    generated: str | None = None,
) -> list[PreparedMetric]:
    """Build the metrics, and let them process the reference.

    `generated` is how errors begin to say how many images are scored, if it is not `num_samples` of the metric.
    """
    prepared = []
    subjects = Subjects(None if reference.files is None else f"{reference.name} has", generated)
    for number, config in enumerate(spec.metrics):
        metric = config.build(real_data.context)
        if not isinstance(metric, FeatureMetric | Metric):
            raise UsageError(f"metrics.{number}: {config.plugin} scores networks, not images; choose an image metric")
        if uses_labels(metric) and not conditional:
            raise UsageError(f"metrics.{number}: {config.plugin} requires labels, but the images have none")
        require_real_labels(number, config, metric, reference.name, reference.data.num_classes)
        one = fit_to_real_images(number, config, metric, real_data, reference.name, warn, subjects)
        if reference.files is not None:
            one.protocol |= {"split": "all images", "real_compression": reference.files.protocol["compression"]}
        prepared.append(one)
    return prepared
