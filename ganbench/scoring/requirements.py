"""The requirements of metrics on the data, the model and the number of images, checked before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from ganbench.errors import PluginError, UsageError
from ganbench.plugin.interfaces import FeatureMetric, Metric
from ganbench.runtime.networks import batch_norm_without_averages
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import MetricConfig

# keys of a metric that only affect images; `num_samples` is not among them: `ganbench check` reduces it for all metrics
OF_IMAGES = ("generator_mode", "split", "real_samples")


def uses_labels(metric: Any) -> bool:
    """Return whether the metric gets the labels of real and generated images."""
    return bool(getattr(metric, "uses_labels", False))


def uses_real_labels(metric: Any) -> bool:
    """Return whether the metric gets the labels of real images."""
    return uses_labels(metric) or bool(getattr(metric, "uses_real_labels", False))


def min_images(metric: Any) -> int:
    return getattr(metric, "min_images", 1)


def require_eval_module(extractor: Any, name: str) -> None:
    """Raise `PluginError` unless an extractor is a torch module in eval mode that uses no batch statistics.

    Only then, its weights are known, and the features of an image do not depend on other images or on chance.
    """
    if not isinstance(extractor, nn.Module):
        raise PluginError(f"{name}: an extractor must be a torch.nn.Module, so that scores record its weights")
    if any(getattr(module, "training", False) for module in extractor.modules()):  # frozen TorchScript has no mode
        raise PluginError(f"{name}: the extractor is in training mode; call .eval() in build")
    if (found := batch_norm_without_averages(extractor)) is not None:
        raise PluginError(
            f"{name}: its batch norm {found!r} has no running statistics, so the features of an image depend on the "
            "other images of a batch; use track_running_stats=True, with trained statistics"
        )


def require_no_image_options(number: int, config: MetricConfig) -> None:
    """Raise `UsageError` if a metric of the networks has a value for a key that only affects images."""
    for name in OF_IMAGES:
        if getattr(config, name) != type(config).model_fields[name].default:
            raise UsageError(
                f"metrics.{number}.{name}: {config.plugin} scores the networks themselves, not images; remove {name}"
            )


def require_labels(
    number: int, config: MetricConfig, metric: Any, spec: BenchmarkSpec, num_classes: int, conditional: bool
) -> None:
    """Raise `UsageError` if the model or the dataset lacks labels that the metric uses."""
    if uses_labels(metric) and not conditional:
        raise UsageError(
            f"metrics.{number}: {config.plugin} requires labels, but {spec.model.plugin} is unconditional; use another "
            "metric or a conditional model"
        )
    require_real_labels(number, config, metric, str(spec.dataset.plugin), num_classes)


def require_real_labels(number: int, config: MetricConfig, metric: Any, dataset: str, num_classes: int) -> None:
    """Raise `UsageError` if the dataset, or the files to compare with, lack labels that the metric uses."""
    if uses_real_labels(metric) and num_classes < 2:
        raise UsageError(
            f"metrics.{number}: {config.plugin} requires labels, but {dataset} has no classes; use another metric or a "
            "dataset with labels"
        )


@dataclass(frozen=True)
class Subjects:
    """How errors begin to say how many images there are, such as "x.npy has", if no key of the spec determines it."""

    real: str | None = None  # None: the split of the dataset
    generated: str | None = None  # None: `num_samples` of the metric


NO_SUBJECTS = Subjects()


def require_enough_images(
    number: int, config: MetricConfig, metric: FeatureMetric | Metric, real: int, subjects: Subjects
) -> None:
    """Raise `UsageError` if there are fewer real or generated images than the metric's `min_images`."""
    needed = min_images(metric)
    limit = subjects.real or f"the {config.split} split has"
    if config.real_samples is not None:
        limit = f"metrics.{number}.real_samples is"
    counts = {limit: real, subjects.generated or f"metrics.{number}.num_samples is": config.num_samples}
    for subject, count in counts.items():
        if count < needed:
            options = config.options.model_dump(mode="json").items()
            numbers = {name: value for name, value in options if isinstance(value, int | float)}
            given = ", ".join(f"{name} = {value}" for name, value in numbers.items())
            choice = f", or change {' or '.join(f'metrics.{number}.{name}' for name in numbers)}" if numbers else ""
            raise UsageError(
                f"metrics.{number}: {config.plugin}{given and f' with {given}'} requires at least {needed:,} images, "
                f"but {subject} {count:,}; use more images{choice}"
            )
