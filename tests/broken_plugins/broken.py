"""A plugin that breaks one rule of its contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .disturbances import DISTURBANCES


@dataclass(frozen=True)
class Broken:
    plugin: Any
    failure: str  # part of the message
    attributes: Mapping[str, Any] = field(default_factory=dict)  # of the contract


def disturbed(make: Callable[[Any], Any], path: str) -> dict[str, Broken]:
    """Return the plugins that `make` returns for each disturbance; `path` is where the step finds it."""
    return {
        rule: Broken(make(disturbance), failure.format(path=path))
        for rule, (disturbance, failure) in DISTURBANCES.items()
    }
