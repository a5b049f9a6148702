"""How metrics are called: what each gets, whose warnings are kept, and what counts as a value."""

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


@contextmanager
def score_warnings(known: list[str]) -> Iterator[list[str]]:
    """Add each new `ScoreWarning` of the block to `known` and to the yielded list; other warnings pass."""
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


def show(config: MetricConfig, metric: Any, images: Tensor, labels: Tensor | None) -> None:
    """Give a metric of images one batch."""
    with config.plugin.wrap_errors("raised in update"):
        if getattr(metric, "uses_labels", False):
            metric.update(images, labels)
        else:
            metric.update(images)


def finite_values(config: MetricConfig, metric: MetricInfo, values: Values) -> dict[str, float | None]:
    """The values of a metric by their names, the only one under ""; None where one is not finite.

    Raises `PluginError` if they are others than those of its `higher_is_better`.
    """
    named = values if isinstance(values, Mapping) else {"": values}
    better = metric.higher_is_better
    wanted = list(better) if isinstance(better, Mapping) else [""]
    if set(named) != set(wanted):
        got, asked = (", ".join(map(repr, names)) if any(names) else "a single one" for names in (named, wanted))
        raise PluginError(f"{config.plugin}: its values are {got}; by its higher_is_better they are {asked}")
    numbers = {str(name): float(value) for name, value in named.items()}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
