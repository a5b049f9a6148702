"""The values of a metric and their directions by name; a metric with a single value has it under ""."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganbench.errors import PluginError
from ganbench.plugin.interfaces import MetricInfo, Values


def by_name(values: Values) -> dict[str, float]:
    named = values if isinstance(values, Mapping) else {"": values}
    return {str(name): value for name, value in named.items()}


def directions(metric: MetricInfo) -> dict[str, bool | None]:
    """Return whether higher is better, by name; None for values that are never ranked.

    Raises `PluginError` for anything else, such as "lower", which Python would treat as true.
    """
    declared: Any = metric.higher_is_better
    named = declared if isinstance(declared, Mapping) else {"": declared}
    for name, each in named.items():
        if not (each is None or isinstance(each, bool)):
            of = f" of '{name}'" if name else ""
            raise PluginError(
                f"metric '{metric.label}': higher_is_better{of} is {each!r}; expected True, False, or None for a value "
                "that is never ranked"
            )
    return {str(name): each for name, each in named.items()}


def listed(names: Mapping[str, object]) -> str:
    """Return the names for a message: "'kid', 'std'", "a single one", "none"."""
    return "a single one" if "" in names else ", ".join(map(repr, names)) or "none"
