"""What `ganbench suite run --json` and `ganbench suite status --json` print: the state of each cell."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ganbench.results.record import Record

from .cell_state import CellStatus, State


class CellScore(Record):
    """The first score of a run."""

    label: str = Field(description="title of the metric")
    value: float | None = Field(description="the score at the end of training; null if not finite, or not reached")


class CellStatusRecord(Record):
    """A cell, its state, and what its files say of its run."""

    cell: str = Field(description="name of its files and folders in the suite's folder")
    label: str = Field(description='place in the matrix, such as "loss=hinge, seed=1"')
    axes: dict[str, Any] = Field(description="value on each axis; for a linked axis, the name of the value")
    seed: int = Field(description="`training.seed` of its spec")
    state: State = Field(description="only completed and diverged cells are never run again")
    attempts: int = Field(description="number of times the run was started")
    problem: str | None = Field(description="why it failed or diverged; null if it did not")
    progress: float | None = Field(description="fraction of the steps that are done, 0 to 1; null unless it is running")
    score: CellScore | None = Field(description="final score of the first metric; null if the run has none yet")
    seconds: float | None = Field(
        description="seconds of training, warm-up and scoring; null unless the run is completed or diverged"
    )
    images_per_second: float | None = Field(description="training speed in images/s; null unless it is known")
    disturbed: bool = Field(description="whether the speed is unreliable, as when runs shared the machine")

    @classmethod
    def of(cls, status: CellStatus) -> CellStatusRecord:
        progress, score = status.progress, status.score
        return cls(
            cell=status.cell.id,
            label=status.cell.label,
            axes=status.cell.axes,
            seed=status.cell.seed,
            state=status.state,
            attempts=status.attempts,
            problem=status.problem,
            progress=progress.step / progress.total_steps if progress else None,
            score=CellScore(label=score[0], value=score[1]) if score else None,
            seconds=status.seconds,
            images_per_second=status.images_per_second,
            disturbed=status.disturbed,
        )
