"""The page of the result's fields, from its schema."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from ganbench.results.schema import SCHEMA_VERSION, Result

from .fields import record_table
from .markdown import page


def result_page() -> str:
    """Return the reference of result.json: the result and every record in it."""
    blocks = [
        f"Every field of `result.json`, schema {SCHEMA_VERSION}. [Results](../results.md) explains how the values are "
        "measured. Every field is always there; a type `null` means that it may have no value.",
    ]
    for record in records(Result):
        heading = "## Result" if record is Result else f"## {record.__name__}"
        own = record.__dict__.get("__doc__")
        blocks += [heading, *([inspect.cleandoc(own)] if own else []), record_table(record, link)]
    return page("result.json", *blocks)


def link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def records(record: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a record and all records in its fields, at any depth, each once."""
    seen: list[type[BaseModel]] = []
    waiting = [record]
    while waiting:
        current = waiting.pop(0)
        if current not in seen:
            seen.append(current)
            waiting[:0] = [found for field in current.model_fields.values() for found in _models_in(field.annotation)]
    yield from seen


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    arguments = get_args(annotation)
    if not arguments and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in arguments:
        yield from _models_in(argument)
