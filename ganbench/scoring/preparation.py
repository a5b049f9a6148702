"""Prepares metrics: builds them, and lets them process the real images, before any image is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from packaging.version import Version

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import FeatureMetric, Loss, Metric, Networks, NetworksMetric
from ganbench.plugin.kinds import Kind
from ganbench.results.environment import ganbench_version
from ganbench.runtime.networks import batch_norm_without_averages
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import MetricConfig
from ganbench.spec.sections import TrainingOptions

from .calls import extractor_name, score_warnings
from .identity import add_declared, config_identity, networks_identity, software_of
from .prepared_metric import PreparedMetric, fit, score_real_data
from .real_data import REAL_DATA_SEED, RealData, random_images, real_indices
from .requirements import (
    NO_SUBJECTS,
    Subjects,
    require_enough_images,
    require_eval_module,
    require_labels,
    require_no_image_options,
)
from .sampling import evaluation_context


def prepare_metrics(
    spec: BenchmarkSpec, real_data: RealData, loss: Loss, networks: Networks, warn: Callable[[str], None]
) -> list[PreparedMetric]:
    """Build a benchmark's metrics and process the real images.

    `warn` is called with each warning about a score. Raises `GanbenchError`, naming the plugin, if a metric or an
    extractor raises, and `UsageError` if a metric is incompatible with the model or the dataset.
    """
    return [
        prepare_metric(number, config, spec, real_data, loss, networks, warn)
        for number, config in enumerate(spec.metrics)
    ]


def prepare_metric(
    number: int,
    config: MetricConfig,
    spec: BenchmarkSpec,
    real_data: RealData,
    loss: Loss,
    networks: Networks,
    warn: Callable[[str], None],
) -> PreparedMetric:
    metric: FeatureMetric | Metric | NetworksMetric = config.build(real_data.context)
    ema = spec.to_dict().get("ema")
    if not isinstance(metric, Metric | FeatureMetric):
        require_no_image_options(number, config)
        protocol, software = metric_identity(config, metric, real_data)
        protocol |= {**config_identity(spec.loss, "loss"), "weights": weights_of(config, ema)}
        add_declared(protocol, metric.protocol, "metric")
        add_declared(protocol, getattr(loss, "protocol", {}), "loss")
        return PreparedMetric(config, metric, protocol, software | software_of(spec.loss))
    require_labels(number, config, metric, spec, real_data.data.num_classes, networks.conditional)
    prepared = fit_to_real_images(number, config, metric, real_data, str(spec.dataset.plugin), warn)
    prepared.protocol |= generation_protocol(config, spec.training, ema, networks, real_data)
    return prepared


def metric_identity(config: MetricConfig, metric: Any, real_data: RealData) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the part of a metric's protocol that every metric has, and its software.

    Raises `PluginError` for an extractor whose features may depend on the batch.
    """
    with config.plugin.wrap_errors("raised in features"):
        own: Any = metric.features if isinstance(metric, FeatureMetric) else None
    extractors = [used.built for used in config.nested() if used.kind == Kind.FEATURE_EXTRACTOR]
    for extractor in [*extractors, own]:
        if extractor is not None:
            require_eval_module(extractor, extractor_name(config, extractor))
    software = {
        "torch": Version(torch.__version__).public,
        "ganbench": ganbench_version(),
        **software_of(config),
        **getattr(metric, "software", {}),
    }
    return {
        **config_identity(config, "metric"),
        **networks_identity(config, metric, own),
        **real_data.identity,
    }, software


def fit_to_real_images(
    number: int,
    config: MetricConfig,
    metric: FeatureMetric | Metric,
    real_data: RealData,
    dataset: str,
    warn: Callable[[str], None],
    subjects: Subjects = NO_SUBJECTS,
) -> PreparedMetric:
    """Let a metric process the real images, and score those of the other split.

    For error messages, `number` is the metric's index in the spec, `dataset` the name of the data's plugin, and
    `subjects` name images whose number is not an option.
    """
    protocol, software = metric_identity(config, metric, real_data)
    split = real_data.split(config.split)
    if split is None:
        raise UsageError(f"metrics.{number}.split: {dataset} has no test split; use -o metrics.{number}.split=train")
    if config.real_samples is not None and config.real_samples > len(split):
        raise UsageError(
            f"metrics.{number}.real_samples is {config.real_samples:,}, but "
            f"{subjects.real or f'the {config.split} split has'} only {len(split):,} images; use fewer"
            f"{'' if subjects.real else ', or another split'}"
        )
    indices = real_indices(len(split), config.real_samples)
    require_enough_images(number, config, metric, len(indices), subjects)
    if isinstance(metric, FeatureMetric):
        add_declared(protocol, metric.features.protocol, "extractor")
        software |= getattr(metric.features, "software", {})
    add_declared(protocol, metric.protocol, "metric")
    protocol |= {"split": config.split, "real_samples": len(indices)}
    prepared = PreparedMetric(config, metric, protocol, software)
    if config.split in real_data.record.random_splits:
        prepared.warnings.append(random_images(config.split))
    with evaluation_context(REAL_DATA_SEED, real_data.device):
        with score_warnings(prepared.warnings):
            fit(prepared, real_data, split, indices)
        score_real_data(prepared, real_data)
    for message in prepared.warnings:
        warn(f"{metric.label}: {message}")
    prepared.warnings[:0] = real_data.record.warnings  # which were shown when the data was opened
    return prepared


def generation_protocol(
    config: MetricConfig,
    training: TrainingOptions,
    ema: Mapping[str, Any] | None,
    networks: Networks,
    real_data: RealData,
) -> dict[str, Any]:
    """Return the part of a protocol that says how the images are generated.

    `ema` is that of the resolved spec, as plain values, so that the plugin of its schedule need not be installed.
    """
    are_images = len(real_data.context.data_shape) == 3
    protocol = {
        "generated_samples": config.num_samples,
        "quantization": "uint8, rounded" if are_images else "none, float32",
        "weights": weights_of(config, ema),
        "batch_norm": f"batches of {training.generator_images}",
    }
    if config.generator_mode == "eval":
        averages = batch_norm_without_averages(networks.generator) is None
        protocol["batch_norm"] = "running statistics" if averages else f"batches of {real_data.batch_size}"
    if networks.conditional:
        protocol["labels"] = "drawn by the class frequencies of the train split"
    return protocol


def weights_of(config: MetricConfig, ema: Mapping[str, Any] | None) -> str:
    """Describe the generator weights that are scored, for the protocol."""
    if config.weights == "raw":
        return "raw"
    assert ema is not None
    ramp = "" if ema["ramp"] == 0 else f", ramp {ema['ramp']:g}"
    half_life = ema["half_life_kimg"]
    if isinstance(half_life, Mapping):
        schedule = half_life["name"].partition("@")[0]
        options = ", ".join(f"{name} {value}" for name, value in half_life.items() if name != "name")
        number = f"{schedule} ({options})"
    else:
        number = f"{half_life:g}"
    return f"EMA, half-life {number} kimg{ramp}"
