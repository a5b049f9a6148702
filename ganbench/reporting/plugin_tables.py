"""Tables of plugins and of their options."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from ganbench.plugin.registry import Registered, Registry

from .schema_types import describe_type


def plugins_table(registry: Registry) -> Table:
    """List every provider and its plugins."""
    table = Table("Package", "Entry point", "Provides", title="Plugins", title_justify="left")
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
    schema = options.model_json_schema(by_alias=False)
    definitions = schema.get("$defs", {})

    def refer(name: str) -> str:
        return describe_type(definitions[name], refer)

    for name, field in schema.get("properties", {}).items():
        default = json.dumps(field["default"]) if "default" in field else "required"
        described = {**definitions.get(field.get("$ref", "").rpartition("/")[2], {}), **field}.get("description", "")
        table.add_row(name, escape(describe_type(field, refer)), escape(default), escape(described))
    return table
