"""The values of a metric and their directions by name; a metric with a single value has it under ""."""

from __future__ import annotations

from collections.abc import Mapping

from ganbench.plugin.interfaces import MetricInfo, Values


def by_name(values: Values) -> dict[str, float]:
    named = values if isinstance(values, Mapping) else {"": values}
    return {str(name): value for name, value in named.items()}


def directions(metric: MetricInfo) -> dict[str, bool | None]:
    """Return whether higher is better, by name; None for values that are never ranked."""
    declared = metric.higher_is_better
    named = declared if isinstance(declared, Mapping) else {"": bool(declared)}
    return {str(name): None if each is None else bool(each) for name, each in named.items()}


def listed(names: Mapping[str, object]) -> str:
    """Return the names for a message: "'kid', 'std'", "a single one", "none"."""
    return "a single one" if "" in names else ", ".join(map(repr, names)) or "none"
