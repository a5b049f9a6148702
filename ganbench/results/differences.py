"""In what two or more things differ, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ABSENT = None  # in place of a field that a side does not have


def differing_fields(sides: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """The fields that are not equal on all sides, with their values; a side without the field has `ABSENT`."""
    listed = list(sides)
    fields = dict.fromkeys(field for side in listed for field in side)
    values = {field: tuple(side.get(field, ABSENT) for side in listed) for field in fields}
    return {field: told for field, told in values.items() if any(value != told[0] for value in told)}


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Nested tables by dotted paths, as -o takes them."""
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
