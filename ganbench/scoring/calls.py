"""Calls to metrics and extractors: pass images and labels, collect warnings, and validate features and values."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from ganbench.data.contract import described
from ganbench.errors import PluginError, ScoreWarning
from ganbench.plugin.interfaces import FeatureExtractor, FeatureMetric, Metric, MetricInfo, Values
from ganbench.spec.configs import MetricConfig, PluginConfig

from .features import StoredFeatures
from .metric_values import by_name, directions, listed
from .requirements import uses_labels


@contextmanager
def score_warnings(known: list[str]) -> Iterator[list[str]]:
    """Append each new `ScoreWarning` of the block to `known` and to the yielded list; re-issue other warnings."""
    new: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ScoreWarning)
        yield new
    for warning in caught:
        message = str(warning.message)
        if not issubclass(warning.category, ScoreWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif message not in known:
            known.append(message)
            new.append(message)


def update_metric(config: MetricConfig, metric: Any, images: Tensor, labels: Tensor | None) -> None:
    """Pass a batch to an image metric."""
    with config.plugin.wrap_errors("raised in update"):
        if uses_labels(metric):
            metric.update(images, labels)
        else:
            metric.update(images)


def extract(config: MetricConfig, extractor: FeatureExtractor, images: Tensor) -> Tensor:
    """Return the features of images, floats `(N, num_features)`, for a metric.

    Raises `PluginError` if the extractor raises, or returns anything else: features of several positions, for example,
    would be stored as those of other images.
    """
    owner = extractor_config(config, extractor) or config
    with owner.plugin.wrap_errors("raised during feature extraction"):
        features: Any = extractor(images)
        shape = (len(images), extractor.num_features)
    if not isinstance(features, Tensor) or tuple(features.shape) != shape or not features.is_floating_point():
        raise PluginError(
            f"{extractor_name(config, extractor)}: for {shape[0]} images, it must return a floating-point tensor of "
            f"shape {shape}, got {described(features)}"
        )
    return features


def extractor_config(config: MetricConfig, extractor: FeatureExtractor) -> PluginConfig | None:
    """Return the plugin in a metric's options that built its extractor; None if the metric has one of its own."""
    return next((used for used in config.nested() if used.built is extractor), None)


def extractor_name(config: MetricConfig, extractor: FeatureExtractor) -> str:
    """Return how messages name the extractor of a metric."""
    used = extractor_config(config, extractor)
    return str(used.plugin) if used else f"the extractor of {config.plugin}"


def score_features(
    config: MetricConfig, metric: FeatureMetric, real: StoredFeatures | None, generated: StoredFeatures
) -> dict[str, float | None]:
    """Return the values of a feature metric. See `finite_values`."""
    assert real is not None
    with config.plugin.wrap_errors("raised in score"):
        return finite_values(config, metric, metric.score(real, generated))


def compute(config: MetricConfig, metric: MetricInfo) -> dict[str, float | None]:
    """Return the values of an image metric that has received all images, and reset it. See `finite_values`."""
    assert isinstance(metric, Metric)
    with config.plugin.wrap_errors("raised in compute"):
        return finite_values(config, metric, metric.compute())


def finite_values(config: MetricConfig, metric: MetricInfo, values: Values) -> dict[str, float | None]:
    """Return the values of a metric by name, a single value under ""; values that are not finite become None.

    Warns with `ScoreWarning` of such values. Raises `PluginError` if the names differ from those in `higher_is_better`.
    """
    named, declared = by_name(values), directions(metric)
    if named.keys() != declared.keys():
        raise PluginError(
            f"{config.plugin}: the values are {listed(named)}, but higher_is_better declares {listed(declared)}"
        )
    numbers = {name: float(value) for name, value in named.items()}
    if lost := [name for name, value in numbers.items() if not math.isfinite(value)]:
        which = f": {', '.join(lost)}" if any(lost) else ""
        warnings.warn(ScoreWarning(f"no score, because the value is NaN or infinite{which}"), stacklevel=2)
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
