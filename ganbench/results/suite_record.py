"""What a suite's folder says of its cells."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ganbench.errors import UsageError

from .layout import SUITE, cell_attempts
from .record import Record, unreadable


class CellRecord(Record):
    """One cell: a run with its place in the matrix."""

    id: str = Field(description="name of its files and folders, with a hash of its spec when the cell was new")
    label: str = Field(description='place in the matrix, such as "loss=hinge, seed=1"')
    axes: dict[str, Any] = Field(description="value on each axis; for a linked axis, the name of the value")
    seed: int = Field(description="`training.seed` of its spec")
    processes: int = Field(1, description="processes of the run, each on a GPU of its own")


class SuiteRecord(Record):
    """The content of suite.json."""

    schema_version: Literal[1] = Field(1, description="version of this format")
    name: str = Field(description="name of the suite")
    file: dict[str, Any] = Field(description="content of the suite's file when it was last run, without defaults")
    cells: list[CellRecord] = Field(description="all cells that the file describes, in its order")
    earlier_cells: list[CellRecord] = Field(
        [], description="cells that have begun with an earlier version of the file, and are not in it now"
    )

    @property
    def note(self) -> str:
        """A note that these cells are not shown; empty if there are none."""
        hidden = len(self.earlier_cells)
        return f"not shown: {hidden} cell{'s' * (hidden != 1)} of an earlier version of the file" if hidden else ""


class Attempt(Record):
    """One start of a cell's run."""

    executor: str = Field(description="name of the executor")
    submitted_at: datetime = Field(description="when it was given to the executor, ISO 8601 with time zone")
    ended_at: datetime | None = Field(
        None,
        description="when it ended, ISO 8601 with time zone; null while it runs, or if the suite was killed or could "
        "not stop it",
    )
    exit_code: int | None = Field(
        None, description="exit code of the run, negative for a signal; null while it lasts, or if it is unknown"
    )
    problem: str | None = Field(
        None, description="why the run did not finish; null if it did, or was stopped on request"
    )


class Attempts(Record):
    """The content of attempts/CELL.json."""

    attempts: list[Attempt] = Field([], description="all attempts so far, the first one first")


def read_suite(folder: Path) -> SuiteRecord:
    """Read suite.json. Raises `UsageError` if the folder is not a suite's, or the file is invalid."""
    file = folder / SUITE
    try:
        return SuiteRecord.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{folder}: not a suite's folder: {SUITE}: {error.strerror}") from None
    except ValidationError as error:
        raise unreadable(str(file), error, "restore it") from None


def read_attempts(folder: Path, cell: str) -> list[Attempt]:
    """Return the attempts of a cell so far, the first one first. Raises `UsageError` if the file is invalid."""
    file = cell_attempts(folder, cell)
    try:
        return Attempts.model_validate_json(file.read_bytes()).attempts
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{file}: cannot read it: {error.strerror}") from None
    except ValidationError as error:
        remedy = "delete it: it only has the history of the cell's attempts"
        raise unreadable(str(file), error, remedy, "corrupt") from None
