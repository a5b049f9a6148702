"""Whether a stopped run may be gone on with."""

from __future__ import annotations

from pathlib import Path

from ganbench.differences import differing, flatten
from ganbench.errors import MissingError, NotComparableError, UsageError
from ganbench.result import RunDirectory
from ganbench.spec import NOT_RUN, BenchmarkSpec

from .checkpoint import Checkpoint, Progress, load_checkpoint
from .preparation import Prepared

CHECKPOINT = "checkpoint.pt"
LENGTH = {"training.epochs", "training.steps", "training.budget_seconds"}


def find_checkpoint(directory: RunDirectory, spec: BenchmarkSpec) -> Checkpoint | None:
    """The checkpoint of a run of this spec; None where the run stopped before there was one.

    Raises `UsageError` for a spec that differs in more than its length, and where the file is no checkpoint of ours.
    """
    try:
        checkpoint = load_checkpoint(directory.path / CHECKPOINT)
    except MissingError:
        return None
    need_same_spec(checkpoint.progress, spec, directory.path)
    return checkpoint


def need_same_spec(progress: Progress, spec: BenchmarkSpec, folder: Path) -> None:
    """Raise `UsageError` with what differs, but for the length and what changes nothing of a run."""
    sides = (
        {key: value for key, value in told.items() if key not in NOT_RUN} for told in (progress.spec, spec.to_dict())
    )
    fields = {path: values for path, values in differing(map(flatten, sides)).items() if path not in LENGTH}
    if fields:
        told = "; ".join(f"{path}: {before}, now {after}" for path, (before, after) in fields.items())
        raise UsageError(f"{folder}: a run can be lengthened, and nothing else of it changed: {told}")


def need_same_course(progress: Progress, prepared: Prepared, folder: Path) -> None:
    """Raise `NotComparableError` if the data is other data by now, `UsageError` if the run is already longer."""
    if progress.data_fingerprint != prepared.data.fingerprint:
        raise NotComparableError(
            f"{folder}: the run trained on data with fingerprint {progress.data_fingerprint}, and now it is "
            f"{prepared.data.fingerprint}"
        )
    if progress.steps > prepared.total_steps:
        raise UsageError(
            f"{folder}: the run has taken {progress.steps} steps, and {prepared.total_steps} are asked for: "
            "it can only be lengthened"
        )
