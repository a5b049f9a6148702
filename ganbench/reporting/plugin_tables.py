"""Tables of plugins and of their options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from ganbench.plugin.registry import Registered, Registry


def plugins_table(registry: Registry) -> Table:
    """Every provider, what it gives and what it failed to give."""
    table = Table("Distribution", "Entry point", "Gives", title="Plugins", title_justify="left")
    gives: dict[Any, list[str]] = {provider: [] for provider in registry.providers}
    for registered in registry.all_plugins():
        gives[registered.provider].append(f"{registered.plugin.kind} {registered.plugin.name}")
    for provider, names in gives.items():
        table.add_row(escape(str(provider)), escape(provider.entry_point), escape(", ".join(names)))
    return _folded(table)


def list_table(plugins: list[Registered]) -> Table:
    """Plugins by kind and name."""
    table = Table("Kind", "Name", "Summary", "From")
    for registered in plugins:
        plugin = registered.plugin
        table.add_row(plugin.kind, plugin.name, escape(plugin.summary), escape(str(registered.provider)))
    return _folded(table)


def options_table(options: type[BaseModel], title: str | None = None) -> Table:
    """A plugin's options, or the keys of a part of a spec, from their schema."""
    table = Table("Option", "Type", "Default", "Description", title=title, title_justify="left")
    schema = options.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        resolved = {**schema.get("$defs", {}).get(field.get("$ref", "").rpartition("/")[2], {}), **field}
        default = json.dumps(field["default"]) if "default" in field else "required"
        table.add_row(name, escape(_type_of(resolved)), escape(default), escape(resolved.get("description", "")))
    return _folded(table)


def _type_of(field: Mapping[str, Any]) -> str:
    """A JSON schema's type and bounds in a few words: "integer, at least 4", "string | null"."""
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "anyOf" in field:
        return " | ".join(_type_of(option) for option in field["anyOf"])
    if "prefixItems" in field:
        return f"[{', '.join(_type_of(item) for item in field['prefixItems'])}]"
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {field[key]:g}" for key, word in bounds.items() if key in field]
    return ", ".join([field.get("type", "value"), *limits])


def _folded(table: Table) -> Table:
    """On a narrow terminal, a long word goes on in the next line: a name is of no use without its end."""
    for column in table.columns:
        column.overflow = "fold"
    return table
