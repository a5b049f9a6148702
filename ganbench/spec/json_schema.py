"""The JSON schemas of spec and suite files, with the options of plugins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Buildable
from ganbench.plugin.registry import Registered

from .benchmark import BenchmarkSpec
from .configs import CONFIGS, PLUGIN_KIND, engine_options
from .matrix import SuiteFile

Schema = dict[str, Any]


def spec_schema(plugins: Iterable[Registered], other_plugins: bool = False) -> Schema:
    """Return the JSON schema of a spec file: each plugin's table may have the options of the plugin that it names.

    With `other_plugins`, a spec may also name plugins that are not among `plugins`, with any options.
    """
    tables = _PluginTables(plugins, other_plugins)
    schema = tables.expand(BenchmarkSpec.model_json_schema())
    return {**schema, "title": "ganbench spec", "$defs": {**schema["$defs"], **tables.definitions}}


def suite_schema(plugins: Iterable[Registered], other_plugins: bool = False) -> Schema:
    """Return the JSON schema of a suite's file, with the options of executors.

    With `other_plugins`, it may also have options of executors that are not among `plugins`.
    """
    plugins = list(plugins)
    tables = _PluginTables(plugins, other_plugins)
    schema = tables.expand(SuiteFile.model_json_schema())
    benchmarks = sorted({found.plugin.name for found in plugins if found.plugin.kind == Kind.BENCHMARK})
    properties = schema["properties"]
    properties["benchmark"]["anyOf"].insert(0, {"enum": benchmarks})
    properties["executors"] |= {
        "properties": {
            name: {**tables.options(found), "description": found.plugin.summary}
            for name, found in tables.named(Kind.EXECUTOR).items()
        },
        "additionalProperties": {"type": "object"} if other_plugins else False,
    }
    required = [name for name in schema.get("required", []) if name != "name"]  # it defaults to that of the file
    return {**schema, "title": "ganbench suite", "required": required, "$defs": tables.definitions}


class _PluginTables:
    """The definitions of plugins' tables, which are made as they are referred to."""

    def __init__(self, plugins: Iterable[Registered], other_plugins: bool) -> None:
        self.plugins = list(plugins)
        self.other_plugins = other_plugins
        self.definitions: dict[str, Schema] = {}

    def expand(self, schema: Any) -> Any:
        """Return the schema with references to definitions instead of configs of plugins."""
        if isinstance(schema, list):
            return [self.expand(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if PLUGIN_KIND not in schema:
            return {key: self.expand(value) for key, value in schema.items()}
        self.define(Kind(schema[PLUGIN_KIND]))
        narrowed = {"type": schema["type"]} if "type" in schema else {}  # a schedule is never given by name only
        return {"$ref": f"#/$defs/{schema[PLUGIN_KIND]}", **narrowed}

    def named(self, kind: Kind) -> dict[str, Registered]:
        """Return the plugins of a kind by the name that selects them, sorted."""
        found = [registered for registered in self.plugins if registered.plugin.kind == kind]
        claims = Counter(registered.plugin.name for registered in found)
        named = {
            registered.plugin.name if claims[registered.plugin.name] == 1 else _qualified(registered): registered
            for registered in found
        }
        return dict(sorted(named.items()))

    def define(self, kind: Kind) -> None:
        """Define the config of a plugin of this kind: its name, or a table with its name and options.

        `if` selects the options, so that errors name the wrong key. Editors do not complete from `if`, so `anyOf`
        repeats all names and tables, and accepts anything itself.
        """
        if kind.value in self.definitions:
            return
        config: Schema = {}
        self.definitions[kind.value] = config  # before the tables, which may refer to it
        named = self.named(kind)
        spellings = {name: list(dict.fromkeys([name, _qualified(found)])) for name, found in named.items()}
        qualified = [spelling for names in spellings.values() for spelling in names[1:]]
        name: Schema = {"anyOf": [{"enum": list(named)}, {"enum": qualified, "x-taplo": {"hidden": True}}]}
        if self.other_plugins:
            name["anyOf"].append({"type": "string"})
        tables = {}
        for key, found in named.items():
            tables[key] = f"{kind}.{key}"
            self.definitions[tables[key]] = self.table(found, spellings[key])
        references = {key: {"$ref": f"#/$defs/{table}"} for key, table in tables.items()}
        config |= {
            "description": f"the name of a {kind}, or a table with its name and options",
            "type": ["string", "object"],
            "properties": {"name": {"description": f"name of the {kind}", **name}},
            "required": ["name"],
            "anyOf": [{}, {"enum": list(named)}, *references.values()],
            "allOf": [
                {"if": {"type": "string"}, "then": name},
                *(
                    {"if": {"type": "object", "properties": {"name": {"enum": spellings[key]}}}, "then": reference}
                    for key, reference in references.items()
                ),
            ],
        }

    def table(self, registered: Registered, names: list[str]) -> Schema:
        """Return the schema of a plugin's table: its name, the keys of the engine, and its options."""
        engine = self.expand(engine_options(CONFIGS[registered.plugin.kind]).model_json_schema())
        options = self.options(registered)
        return {
            **options,
            "description": registered.plugin.summary,
            "properties": {
                "name": {"description": f"name of the {registered.plugin.kind}", "enum": names},
                **engine.get("properties", {}),
                **options.get("properties", {}),
            },
            "required": ["name", *engine.get("required", []), *options.get("required", [])],
        }

    def options(self, registered: Registered) -> Schema:
        """Return the schema of a plugin's options.

        Raises `PluginError`, which names the plugin, if JSON schema cannot express them.
        """
        assert isinstance(registered.plugin, Buildable)
        prefix = f"{registered.plugin.kind}.{registered.plugin.name}.{registered.provider.distribution}"
        with registered.wrap_errors("has options without a JSON schema"):
            schema = registered.plugin.options.model_json_schema(
                by_alias=False, ref_template=f"#/$defs/{prefix}.{{model}}"
            )
        own = schema.pop("$defs", {})
        self.definitions |= {f"{prefix}.{name}": self.expand(definition) for name, definition in own.items()}
        expanded: Schema = self.expand(schema)
        return expanded


def _qualified(registered: Registered) -> str:
    return f"{registered.plugin.name}@{registered.provider.distribution}"
