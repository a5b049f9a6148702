"""The types of fields in words, from their JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganbench.spec.configs import PLUGIN_KIND

BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
NAMES = {"array": "list", "object": "table"}  # as TOML and Python call them


def describe_type(field: Mapping[str, Any], refer: Callable[[str], str] = str) -> str:
    """Describe a JSON schema's type and bounds: "integer, at least 4", "list of string | null".

    `refer` returns the words for a model that the schema refers to by name.
    """
    if PLUGIN_KIND in field:
        return str(field[PLUGIN_KIND])
    if "$ref" in field:
        return refer(field["$ref"].rpartition("/")[2])
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    if "anyOf" in field:
        return " | ".join(describe_type(option, refer) for option in field["anyOf"])
    if "prefixItems" in field:
        return f"[{', '.join(describe_type(item, refer) for item in field['prefixItems'])}]"
    name = NAMES.get(field.get("type", "value"), field.get("type", "value"))
    items = field.get("items", field.get("additionalProperties"))
    if isinstance(items, Mapping) and describe_type(items, refer) != "value":
        described = describe_type(items, refer)
        return f"{name} of ({described})" if " | " in described else f"{name} of {described}"
    return ", ".join([name, *(f"{word} {_exactly(field[key])}" for key, word in BOUNDS.items() if key in field)])


def _exactly(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
