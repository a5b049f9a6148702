"""Arguments of the public functions, in every form in which scripts and notebooks have them.

One of another type is a `UsageError` that names it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganbench.errors import UsageError
from ganbench.system.files import as_path


def check_overrides(overrides: Iterable[Any]) -> list[str]:
    """Return the overrides. Raises `UsageError` for one that is not text, such as a list or a dictionary."""
    checked = list(overrides)
    for override in checked:
        if not isinstance(override, str):
            raise UsageError(
                f"override {override!r}: expected text of the form PATH=VALUE, such as 'training.batch_size=128'; pass "
                "several as separate arguments"
            )
    return checked


def items(name: str, given: Any, expected: str) -> list[Any]:
    """Return the items of a list, an array or another iterable."""
    try:
        found = None if isinstance(given, str | Mapping) else list(given)
    except TypeError:
        found = None
    if found is None:
        raise UsageError(f"{name}: expected {expected}, got {given!r}")
    return found


def texts(name: str, given: Any, expected: str) -> list[str]:
    """Return one text, or several, as a list."""
    found = [given] if isinstance(given, str) else items(name, given, expected)
    for text in found:
        if not isinstance(text, str):
            raise UsageError(f"{name}: expected {expected}, got {text!r}")
    return found


def tracker_texts(given: Any) -> list[str]:
    """Return the values of --track that `track` stands for."""
    return texts("track", given, "names of trackers, or TOML tables as text such as '{name = \"wandb\"}'")


def as_integer(given: Any) -> int | None:
    """Return an integer of any type, such as NumPy's; None for anything else."""
    try:
        return None if isinstance(given, bool) else operator.index(given)
    except TypeError:
        return None


def integer(name: str, given: Any) -> int:
    """Return an integer of any type, such as NumPy's."""
    number = as_integer(given)
    if number is None:
        raise UsageError(f"{name}: expected an integer, got {given!r}")
    return number


def optional_integer(name: str, given: Any) -> int | None:
    return None if given is None else integer(name, given)


def optional_count(name: str, given: Any) -> int | None:
    """Return a number of things, at least 1; None if None is given."""
    number = optional_integer(name, given)
    if number is not None and number < 1:
        raise UsageError(f"{name}: must be at least 1, got {number}")
    return number


def seconds(name: str, given: Any, default: float) -> float:
    """Return a positive number of seconds; `default` if None is given."""
    try:
        number = default if given is None else float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not number > 0:
        raise UsageError(f"{name}: expected a positive number of seconds, got {given!r}")
    return number


def optional_path(name: str, given: Any) -> Path | None:
    return None if given is None else as_path(name, given)
