"""The fields of models and classes: names, types, defaults and descriptions, from their schemas and their source."""

from __future__ import annotations

import ast
import inspect
import io
import json
import re
import tokenize
from collections.abc import Callable, Mapping
from functools import cache
from textwrap import dedent
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
            text(_description(field, definitions)),
        ]
        for name, field in schema["properties"].items()
    ]
    return table(["Option", "Type", "Default", "Description"], rows)


def record_table(model: type[BaseModel], refer: Callable[[str], str]) -> str:
    """Return the table of the fields of a stored record; their comments in the source are their descriptions."""
    described = {name: re.sub(r"\bNone\b", "null", words) for name, words in comments(model).items()}
    rows = [
        [f"`{name}`", describe_type(field, refer), text(field.get("description") or described.get(name, ""))]
        for name, field in model.model_json_schema()["properties"].items()
    ]
    return table(["Field", "Type", "Description"], rows)


def _description(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return the description of a field, or of the model in it."""
    inner = [field, field.get("items", {}), *field.get("anyOf", [])]
    models = [definitions.get(each.get("$ref", "").rpartition("/")[2], {}) for each in inner]
    return next((each["description"] for each in [field, *models] if "description" in each), "").split("\n\n")[0]


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return "required"
    if isinstance(field["default"], dict) and field["default"]:
        return "its defaults"
    return f"`{json.dumps(field['default'])}`"


@cache
def comments(owner: type) -> dict[str, str]:
    """Return what the source of a class says of its fields: the comment next to each, and the lines above it."""
    source = dedent(inspect.getsource(owner))
    beside: dict[int, str] = {}
    above: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = token.line.strip().startswith("#")
            (above if alone else beside)[token.start[0]] = token.string.lstrip("# ").split("# noqa")[0]
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for statement in definition.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        name = targets[0].id if isinstance(targets[0], ast.Name) else None
        if name is None:
            continue
        last = statement.end_lineno or statement.lineno
        said = [beside[line] for line in range(statement.lineno, last + 1) if line in beside]
        line = statement.lineno - 1
        lines: list[str] = []
        while line in above:
            lines.insert(0, above[line])
            line -= 1
        if words := "; ".join([*said, " ".join(lines)] if lines else said):
            found[name] = words
    return found
