"""The fields of models: names, types, defaults and descriptions, from their schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from ganbench.reporting.schema_types import describe_type

from .markdown import table, text


def options_table(model: type[BaseModel], links: Mapping[str, str]) -> str:
    """Return the table of a model's fields that users set; `links` has links to models by their names."""
    schema = model.model_json_schema()
    if not schema.get("properties"):
        return "No options.\n"
    definitions = schema.get("$defs", {})

    def refer(name: str) -> str:
        return links[name] if name in links else describe_type(definitions[name], refer)

    rows = [
        [
            f"`{name}`",
            describe_type(field, refer),
            _default(field),
            text(field["description"]),
        ]
        for name, field in schema["properties"].items()
    ]
    return table(["Option", "Type", "Default", "Description"], rows)


def record_table(model: type[BaseModel], link: Callable[[str], str]) -> str:
    """Return the table of the fields of a stored record; `link` returns a link to a record by its name."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})

    def refer(name: str) -> str:
        return link(name) if "properties" in definitions[name] else describe_type(definitions[name])

    rows = [
        [f"`{name}`", describe_type(field, refer), text(field["description"])]
        for name, field in schema["properties"].items()
    ]
    return table(["Field", "Type", "Description"], rows)


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return "required"
    if isinstance(field["default"], dict) and field["default"]:
        return "its defaults"
    return f"`{json.dumps(field['default'])}`"
