"""Breaks the rules that hold for every kind of plugin: a sound plugin, with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from ganbench import Options

from .broken import Broken


class Undescribed(Options):
    width: int = 8


class Lenient(Options):
    model_config = ConfigDict(extra="ignore")


class Halved(Options):
    """Each validation halves the value."""

    share: Annotated[float, BeforeValidator(lambda value: value / 2)] = Field(1.0, description="a share")


class Unlimited(Options):
    limit: float | None = Field(1.0, description="a limit; null: none")


def changing_torch(options: Any, context: Any) -> Any:
    import torch

    torch.set_default_dtype(torch.float64)


def changed(plugin: Any, **fields: Any) -> Any:
    return plugin.model_copy(update=fields)


BROKEN: dict[str, Callable[[Any], Broken]] = {
    "the summary says more than the name": lambda plugin: Broken(
        changed(plugin, summary=f"The {plugin.kind} {plugin.name}"), "expected a summary that says what"
    ),
    "every option has a description": lambda plugin: Broken(changed(plugin, options=Undescribed), "got none for width"),
    "an unknown option is an error": lambda plugin: Broken(
        changed(plugin, options=Lenient), "the unknown key 'no_such_option'"
    ),
    "options can be stored and loaded": lambda plugin: Broken(
        changed(plugin, options=Halved), "got share = 0.5, then 0.25"
    ),
    "an optional option is unset by default": lambda plugin: Broken(
        changed(plugin, options=Unlimited), "expected None as the default of limit"
    ),
    "build returns an object of its kind": lambda plugin: Broken(
        changed(plugin, build=lambda *_: None), "build must return"
    ),
    "build leaves no trace": lambda plugin: Broken(
        changed(plugin, build=changing_torch), "torch's default dtype from torch.float32 to torch.float64"
    ),
}
