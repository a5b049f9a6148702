"""Ids of the metrics and penalties in a spec: what they may consist of, and the default made of a plugin's name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # also of the names of benchmarks and suites, which are names of folders, too


def default_id(name: str, taken: Collection[str]) -> str:
    """Return the name of a plugin, numbered if it is taken."""
    number, numbered = 1, name
    while numbered in taken:
        number += 1
        numbered = f"{name}-{number}"
    return numbered


def is_default_id(table: Mapping[str, Any]) -> bool:
    """Return whether the id in a plugin's table is made of its name, as in the spec of a run."""
    name = str(table["name"]).partition("@")[0]
    return re.fullmatch(rf"{re.escape(name)}(-\d+)?", str(table.get("id"))) is not None


def unique_ids(configs: list[Any], what: str) -> list[Any]:
    """Set a unique id for each config without one. Raises if two were given the same id."""
    given = [config.id for config in configs if config.id is not None]
    if repeated := sorted({name for name in given if given.count(name) > 1}):
        raise PydanticCustomError("repeated_id", "two {what} have the id '{id}'", {"what": what, "id": repeated[0]})
    taken = set(given)
    identified = []
    for config in configs:
        if config.id is None:
            config = config.model_copy(update={"id": default_id(config.plugin.plugin.name, taken)})
            taken.add(config.id)
        identified.append(config)
    return identified
