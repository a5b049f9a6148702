"""Whether a run shares its machine with other runs that ganbench itself started, so that its speed means little."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "GANBENCH_SHARED_WITH"  # set for the runs of a suite: which other work the machine does


def shared_with(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return which other work this machine does; None if this process was not told of any."""
    return environ.get(VARIABLE) or None


def remember(log: Path, others: str) -> dict[str, str]:
    """Return the variable to add to the environment of a run with this log file; nothing if it has the machine alone.

    A run that once shared its machine keeps the mark when it is resumed alone, because its windows are kept.
    """
    mark = mark_of(log)
    if others:
        mark.write_text(others, encoding="utf-8")
    return {VARIABLE: mark.read_text(encoding="utf-8")} if mark.is_file() else {}


def forget(log: Path) -> None:
    """Drop the mark of a run that starts anew, so that none of its windows is kept."""
    mark_of(log).unlink(missing_ok=True)


def mark_of(log: Path) -> Path:
    return log.with_suffix(".shared")
