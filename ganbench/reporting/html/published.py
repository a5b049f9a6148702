"""The published training curve of a run's benchmark."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from ganbench.errors import GanbenchWarning, describe
from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result
from ganbench.spec.loading import find_published_curve

from .line_chart import Points


@dataclass(frozen=True)
class Published:
    """Published losses and monitors over training images, by column of the history."""

    label: str
    columns: Mapping[str, Points]


def find_published(result: Result, registry: Registry) -> Published | None:
    """Return the published curve of a result's benchmark; None if there is none, or if it is of other data.

    Warns if its file cannot be read.
    """
    from ganbench.reporting.plots import read_curve

    curve = find_published_curve(result.benchmark, registry)
    if curve is None or curve.data_fingerprint != result.data.fingerprint:
        return None
    try:
        columns = read_curve(curve.history)
        images = [epoch * result.images_per_epoch for epoch in columns.pop("epoch")]
    except (OSError, ValueError, LookupError, TypeError) as error:  # a plugin's file: missing, or not such a table
        warnings.warn(
            f"the published curve of {result.benchmark}, {curve.history}, cannot be read and is left out: "
            f"{describe(error)}",
            GanbenchWarning,
            stacklevel=2,
        )
        return None
    return Published(curve.label, {name: list(zip(images, column, strict=True)) for name, column in columns.items()})
