"""The JSON schemas that come with ganbench. `python -m ganbench.spec.schema_files` writes them.

They have the options of ganbench's own plugins, and permit others.
"""

from __future__ import annotations

import json
from pathlib import Path

from ganbench.plugin.registry import Registry
from ganbench.results import schema as results
from ganbench.system.files import write_text

from .json_schema import Schema, spec_schema, suite_schema

SPEC = Path(__file__).with_name("spec.schema.json")
SUITE = Path(__file__).with_name("suite.schema.json")
RESULT = Path(results.__file__).with_name("result.schema.json")


def schema_files(registry: Registry) -> dict[Path, Schema]:
    """Return the content of each file."""
    own = [found for found in registry.all_plugins() if found.provider.distribution == "ganbench"]
    return {
        SPEC: spec_schema(own, other_plugins=True),
        SUITE: suite_schema(own, other_plugins=True),
        RESULT: results.result_schema(),
    }


def schema_line(file: Path) -> str:
    """Return the first line of a TOML file by which editors find its schema."""
    return f"#:schema {file.absolute().as_uri()}\n"


def write_schema(file: Path, schema: Schema) -> None:
    """Write a schema as JSON."""
    write_text(file, json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for path, content in schema_files(Registry.load()).items():
        write_schema(path, content)
