"""Field-by-field differences between two or more mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ABSENT = None  # value of a missing field


def differing_fields(sides: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the fields whose values are not all equal, each with its value on every side; `ABSENT` where missing."""
    sides = list(sides)
    fields = dict.fromkeys(field for side in sides for field in side)
    columns = {field: tuple(side.get(field, ABSENT) for side in sides) for field in fields}
    return {field: values for field, values in columns.items() if any(value != values[0] for value in values)}


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested tables to dotted paths, as -o accepts them."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        items = enumerate(value)
    else:
        return {path: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= flatten(item, f"{path}.{key}" if path else str(key))
    return flat
