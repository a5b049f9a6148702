"""Tables of plugins and of their options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from ganbench.plugin.registry import Registered, Registry
from ganbench.spec.configs import PLUGIN_KIND


def plugins_table(registry: Registry) -> Table:
    """List every provider and its plugins."""
    table = Table("Distribution", "Entry point", "Provides", title="Plugins", title_justify="left")
    provided: dict[Any, list[str]] = {provider: [] for provider in registry.providers}
    for registered in registry.all_plugins():
        provided[registered.provider].append(f"{registered.plugin.kind} {registered.plugin.name}")
    for provider, names in provided.items():
        table.add_row(escape(str(provider)), escape(provider.entry_point), escape(", ".join(names)))
    return table


def list_table(plugins: list[Registered]) -> Table:
    """List plugins by kind and name."""
    table = Table("Kind", "Name", "Summary", "Package")
    for registered in plugins:
        plugin = registered.plugin
        table.add_row(plugin.kind, plugin.name, escape(plugin.summary), escape(str(registered.provider)))
    return table


def options_table(options: type[BaseModel], title: str | None = None) -> Table:
    """List a plugin's options, or the fields of a spec section, from the schema."""
    table = Table("Option", "Type", "Default", "Description", title=title, title_justify="left")
    schema = options.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        resolved = {**schema.get("$defs", {}).get(field.get("$ref", "").rpartition("/")[2], {}), **field}
        default = json.dumps(field["default"]) if "default" in field else "required"
        table.add_row(name, escape(_describe_type(resolved)), escape(default), escape(resolved.get("description", "")))
    return table


def _describe_type(field: Mapping[str, Any]) -> str:
    """Describe a JSON schema's type and bounds: "integer, at least 4", "number | schedule"."""
    if PLUGIN_KIND in field:
        return str(field[PLUGIN_KIND])
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "anyOf" in field:
        return " | ".join(_describe_type(option) for option in field["anyOf"])
    if "prefixItems" in field:
        return f"[{', '.join(_describe_type(item) for item in field['prefixItems'])}]"
    bound_names = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{word} {field[key]:g}" for key, word in bound_names.items() if key in field]
    return ", ".join([field.get("type", "value"), *limits])
