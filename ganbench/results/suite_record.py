"""What a suite's folder says of its cells. The folder is the state of the suite: nothing else is kept anywhere.

suite.json        the suite's file, and all cells that it describes
specs/CELL.toml   the resolved spec of each cell
runs/CELL/        its run directory, named by the content of the spec
attempts/CELL.json, logs/CELL.log
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ganbench.errors import UsageError

from .record import Record, first_problem

SUITE = "suite.json"


class CellRecord(Record):
    """One cell: a run with its place in the matrix."""

    id: str  # the name of its files and folders
    label: str  # such as "loss=hinge, seed=1"
    axes: dict[str, Any]
    seed: int
    processes: int = 1


class SuiteRecord(Record):
    """The content of suite.json."""

    schema_version: Literal[1] = 1
    name: str
    file: dict[str, Any]  # the content of the suite's file when it was last run
    cells: list[CellRecord]


class Attempt(Record):
    """One start of a cell's run."""

    executor: str
    submitted_at: datetime
    ended_at: datetime | None = None  # None while it lasts, or if the suite was killed
    exit_code: int | None = None
    problem: str | None = None  # why the run did not finish; None if it did, or was stopped on request


class Attempts(Record):
    """The content of attempts/CELL.json."""

    attempts: list[Attempt] = []


def is_suite(folder: Path) -> bool:
    return (folder / SUITE).is_file()


def read_suite(folder: Path) -> SuiteRecord:
    """Read suite.json. Raises `UsageError` if the folder is not a suite's, or the file is invalid."""
    file = folder / SUITE
    try:
        return SuiteRecord.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{folder}: not a suite's folder: {SUITE}: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError(f"{file}: corrupt, or not written by ganbench: {first_problem(error)}") from None


def read_attempts(folder: Path, cell: str) -> list[Attempt]:
    """Return the attempts of a cell so far, the first one first. Raises `UsageError` if the file is invalid."""
    file = folder / "attempts" / f"{cell}.json"
    try:
        return Attempts.model_validate_json(file.read_bytes()).attempts
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{file}: cannot read it: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError(
            f"{file}: corrupt: {first_problem(error)}; delete it: it only has the history of the cell's attempts"
        ) from None
