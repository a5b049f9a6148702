"""Prepares metrics: builds them, and lets them process the real images, before any image is scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from packaging.version import Version

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import FeatureMetric, Loss, Metric, NetworksMetric
from ganbench.results.environment import ganbench_version
from ganbench.spec.benchmark import BenchmarkSpec, EMAOptions, TrainingOptions
from ganbench.spec.configs import MetricConfig

from .calls import score_warnings
from .identity import config_identity, software_of
from .reference import (
    REAL_DATA_SEED,
    PreparedMetric,
    RealData,
    fit,
    min_images,
    score_real_data,
    uses_labels,
)
from .sampling import evaluation_context


def prepare_metrics(
    spec: BenchmarkSpec, real_data: RealData, loss: Loss, conditional: bool, warn: Callable[[str], None]
) -> list[PreparedMetric]:
    """Build a benchmark's metrics and process the real images.

    `warn` is called with each warning about a score. Raises `GanbenchError`, naming the plugin, if a metric or an
    extractor raises, and `UsageError` if a metric is incompatible with the model or the dataset.
    """
    return [
        prepare_metric(number, config, spec, real_data, loss, conditional, warn)
        for number, config in enumerate(spec.metrics)
    ]


def prepare_metric(
    number: int,
    config: MetricConfig,
    spec: BenchmarkSpec,
    real_data: RealData,
    loss: Loss,
    conditional: bool,
    warn: Callable[[str], None],
) -> PreparedMetric:
    metric: FeatureMetric | Metric | NetworksMetric = config.build(real_data.context)
    if not isinstance(metric, Metric | FeatureMetric):
        protocol, software = metric_identity(config, metric, real_data)
        protocol |= {**metric.protocol, **config_identity(spec.loss, "loss"), **getattr(loss, "protocol", {})}
        return PreparedMetric(config, metric, protocol, software | software_of(spec.loss))
    if uses_labels(metric) and not conditional:
        raise UsageError(
            f"metrics.{number}: {config.plugin} requires labels, but {spec.model.plugin} is unconditional; use another "
            "metric or a conditional model"
        )
    prepared = fit_to_real_images(number, config, metric, real_data, str(spec.dataset.plugin), warn)
    prepared.protocol |= generation_protocol(config, spec.training, spec.ema, conditional)
    return prepared


def metric_identity(config: MetricConfig, metric: Any, real_data: RealData) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the part of a metric's protocol that every metric has, and its software."""
    software = {
        "torch": Version(torch.__version__).public,
        "ganbench": ganbench_version(),
        **software_of(config),
        **getattr(metric, "software", {}),
    }
    return {**config_identity(config, "metric"), **real_data.identity}, software


def fit_to_real_images(
    number: int,
    config: MetricConfig,
    metric: FeatureMetric | Metric,
    real_data: RealData,
    dataset: str,
    warn: Callable[[str], None],
) -> PreparedMetric:
    """Let a metric process the real images, and score those of the other split.

    `number` is the metric's index in the spec, and `dataset` the name of the data's plugin, for error messages.
    """
    protocol, software = metric_identity(config, metric, real_data)
    split = real_data.split(config.split)
    if split is None:
        raise UsageError(f"metrics.{number}.split: {dataset} has no test split; use -o metrics.{number}.split=train")
    indices = torch.arange(len(split))
    require_enough_images(number, config, metric, len(split))
    if isinstance(metric, FeatureMetric):
        protocol |= metric.features.protocol
        software |= getattr(metric.features, "software", {})
    protocol |= {**metric.protocol, "split": config.split, "real_samples": len(indices)}
    prepared = PreparedMetric(config, metric, protocol, software)
    with evaluation_context(REAL_DATA_SEED, real_data.device):
        with score_warnings(prepared.warnings):
            fit(prepared, real_data, split, indices)
        score_real_data(prepared, real_data)
    for message in prepared.warnings:
        warn(f"{metric.label}: {message}")
    return prepared


def generation_protocol(
    config: MetricConfig, training: TrainingOptions, ema: EMAOptions | None, conditional: bool
) -> dict[str, Any]:
    """Return the part of a protocol that says how the images are generated."""
    batches = f"batches of {training.generator_images}"
    protocol = {
        "generated_samples": config.num_samples,
        "quantization": "uint8, rounded",
        "weights": weights_of(config, ema),
        "batch_norm": "running statistics" if config.generator_mode == "eval" else batches,
    }
    if conditional:
        protocol["labels"] = "drawn by the class frequencies of the train split"
    return protocol


def require_enough_images(number: int, config: MetricConfig, metric: FeatureMetric | Metric, real: int) -> None:
    """Raise `UsageError` if there are fewer real or generated images than the metric's `min_images`."""
    needed = min_images(metric)
    counts = {f"the {config.split} split has": real, f"metrics.{number}.num_samples is": config.num_samples}
    for subject, count in counts.items():
        if count < needed:
            options = config.options.model_dump(mode="json").items()
            given = ", ".join(f"{name} = {value}" for name, value in options if isinstance(value, int | float))
            raise UsageError(
                f"metrics.{number}: {config.plugin}{given and f' with {given}'} requires at least {needed:,} images, "
                f"but {subject} {count:,}"
            )


def weights_of(config: MetricConfig, ema: EMAOptions | None) -> str:
    """Describe the generator weights that are scored, for the protocol."""
    if config.weights == "raw":
        return "raw"
    assert ema is not None
    ramp = "" if ema.ramp is None else f", ramp {ema.ramp:g}"
    return f"EMA, half-life {ema.half_life_kimg:g} kimg{ramp}"
