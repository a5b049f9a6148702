"""Calls to metrics: pass images and labels, collect warnings, and validate values."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from ganbench.errors import PluginError, ScoreWarning
from ganbench.plugin.interfaces import MetricInfo, Values
from ganbench.spec.configs import MetricConfig

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


def finite_values(config: MetricConfig, metric: MetricInfo, values: Values) -> dict[str, float | None]:
    """Return the values of a metric by name, a single value under ""; values that are not finite become None.

    Raises `PluginError` if the names differ from those in `higher_is_better`.
    """
    named = values if isinstance(values, Mapping) else {"": values}
    directions = metric.higher_is_better
    expected = list(directions) if isinstance(directions, Mapping) else [""]
    if set(named) != set(expected):
        got, declared = (", ".join(map(repr, names)) if any(names) else "a single one" for names in (named, expected))
        raise PluginError(f"{config.plugin}: the values are {got}, but higher_is_better declares {declared}")
    numbers = {str(name): float(value) for name, value in named.items()}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
