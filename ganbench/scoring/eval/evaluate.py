"""Scores images given as files, or of a trained model, exactly as a run scores its own."""

from __future__ import annotations

import torch

from ganbench.results.schema import MetricPoint, MetricResult
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.scoring.calls import score_warnings
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.preparation import generation_protocol
from ganbench.scoring.prepared_metric import score_images
from ganbench.scoring.real_data import RealData
from ganbench.scoring.reference import ReferenceData, Warn, prepare_for_reference
from ganbench.scoring.sampling import evaluation_context
from ganbench.scoring.scored_metric import ScoredMetric
from ganbench.scoring.trained import TrainedRun
from ganbench.spec.evaluation import EvaluationSpec

from .samples import GivenImages


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
        metrics = prepare_for_reference(spec, reference, real_data, conditional=False, warn=warn, generated=generated)
        for prepared in metrics:
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
    metrics = prepare_for_reference(spec, reference, real_data, trained.networks.conditional, warn)
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
