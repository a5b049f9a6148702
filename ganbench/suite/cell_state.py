"""The state of a suite's cells, from the files in its folder alone: the same for the suite and for any onlooker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from statistics import median

from ganbench.errors import MissingError, UsageError
from ganbench.plugin.callbacks import Progress
from ganbench.results.layout import PROGRESS, SPEC, cell_run
from ganbench.results.schema import Result, load_result
from ganbench.results.suite_record import Attempt, CellRecord, read_attempts
from ganbench.system.locks import is_locked


class State(StrEnum):
    """The state of a cell. Only completed and diverged ones are never run again."""

    NEW = "new"  # never started
    QUEUED = "queued"  # submitted to an executor
    RUNNING = "running"
    STOPPED = "stopped"  # together with the suite; resumed by the next command
    FAILED = "failed"  # crashed or was lost, and has no retries left
    COMPLETED = "completed"
    DIVERGED = "diverged"


FINISHED = {State.COMPLETED, State.DIVERGED}


@dataclass(frozen=True)
class CellStatus:
    """A cell, its state, and what its files say of its run."""

    cell: CellRecord
    state: State
    attempts: int = 0
    problem: str | None = None  # why it failed or diverged
    progress: Progress | None = None  # while it is running
    score: tuple[str, float | None] | None = None  # label and final value of the first metric
    why_no_score: str = "not finite"  # if that value is None
    seconds: float | None = None  # training, warm-up and scoring of a finished run
    images_per_second: float | None = None
    disturbed: bool = False  # the speed is unreliable, for example because runs shared the machine

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


def read_status(folder: Path, cell: CellRecord, alive: bool) -> CellStatus:
    """Return the status of a cell; `alive` is whether a command is running the suite now."""
    directory = cell_run(folder, cell.id)
    attempts = read_attempts(folder, cell.id)
    try:
        result = read_result(directory)
    except UsageError as error:  # others of the suite can still be shown
        return CellStatus(cell, State.FAILED, len(attempts), str(error))
    if result and result.is_final:
        return finished_status(cell, result, len(attempts))
    if not attempts:
        return CellStatus(cell, State.NEW)
    last = attempts[-1]
    if last.ended_at is None and (alive or is_locked(directory)):  # a scheduler's job outlives the suite
        return unfinished_status(folder, cell, last, len(attempts))
    return CellStatus(cell, State.FAILED if last.problem else State.STOPPED, len(attempts), last.problem)


def unfinished_status(folder: Path, cell: CellRecord, attempt: Attempt, attempts: int) -> CellStatus:
    """Return the status of a cell whose last attempt has not ended; fast, because a suite asks often."""
    directory = cell_run(folder, cell.id)
    if not has_begun(directory, attempt) and not is_locked(directory):
        return CellStatus(cell, State.QUEUED, attempts)
    progress = read_progress(directory)
    disturbed = progress is not None and progress.disturbed
    return CellStatus(cell, State.RUNNING, attempts, progress=progress, disturbed=disturbed)


def finished_status(cell: CellRecord, result: Result, attempts: int) -> CellStatus:
    throughput, first = result.throughput, next(iter(result.metrics), None)
    return CellStatus(
        cell,
        State(result.status),
        attempts,
        result.message,
        score=(first.label, first.value) if first else None,
        why_no_score=result.why_missing(first) if first else "",
        seconds=sum(window.seconds for window in throughput.windows)
        + throughput.warmup_seconds
        + throughput.evaluation_seconds,
        images_per_second=throughput.mean_images_per_second,
        disturbed=throughput.disturbed,
    )


def read_result(directory: Path) -> Result | None:
    """Return the result of a run; None if it has none yet. Raises `UsageError` if the file cannot be read."""
    with suppress(MissingError):
        return load_result(directory)
    return None


def read_progress(directory: Path) -> Progress | None:
    with suppress(OSError, ValueError, TypeError):  # there is none yet, or it is of another version
        return Progress(**json.loads((directory / PROGRESS).read_bytes()))
    return None


def has_begun(directory: Path, attempt: Attempt) -> bool:
    """Return whether the run has written to its directory since the attempt was submitted, by the clocks of both."""
    files = (directory / name for name in (SPEC, PROGRESS))
    since = attempt.submitted_at.timestamp()
    return any(file.stat().st_mtime >= since for file in files if file.exists())


def seconds_left(statuses: Iterable[CellStatus]) -> float | None:
    """Estimate the time that the unfinished cells will take, one after the other, in seconds.

    A cell takes as long as the median of those that differ from it only in the seed, or else of all finished ones. None
    if none has finished.
    """
    statuses = list(statuses)
    known: dict[str, list[float]] = {}
    for status in statuses:
        if status.seconds is not None:
            known.setdefault(row_of(status.cell), []).append(status.seconds)
    if not known:
        return None
    expected = {row: median(seconds) for row, seconds in known.items()}
    of_all = median(chain.from_iterable(known.values()))
    total = 0.0
    for status in statuses:
        if not status.finished:
            progress = status.progress
            share = 1 - progress.step / progress.total_steps if progress else 1.0
            total += share * expected.get(row_of(status.cell), of_all)
    return total


def row_of(cell: CellRecord) -> str:
    """Return the cell's axes except the seed, as text."""
    return str(sorted((axis, str(value)) for axis, value in cell.axes.items() if axis != "training.seed"))


def now() -> datetime:
    return datetime.now().astimezone()
