"""The values in a spec that cannot be paths: names of plugins, and choices such as `split = "test"`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ganbench.spec.benchmark import BenchmarkSpec


def non_path_values(spec: BenchmarkSpec) -> frozenset[str]:
    """Return plugin names, and the values of fields with a fixed set of choices, such as `split = "test"`."""
    choices = spec.plugin_configs()
    models = [type(spec), *(type(choice) for choice in choices), *(type(choice.options) for choice in choices)]
    return frozenset({value for model in models for value in fixed_values(model)} | {choice.name for choice in choices})


def fixed_values(annotation: Any) -> Iterator[str]:
    """Yield the text of all `Literal`s in a type, and in the fields of a model, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field in annotation.model_fields.values():
            yield from fixed_values(field.annotation)
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal and isinstance(argument, str):
            yield argument
        else:
            yield from fixed_values(argument)
