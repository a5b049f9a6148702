"""Whether a stopped run may be gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganbench.errors import (
    MissingError,
    NotComparableError,
    PluginError,
    UsageError,
)
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Environment, PluginRecord, providers
from ganbench.spec.benchmark import NON_TRAINING_FIELDS, BenchmarkSpec

from .checkpoint import Checkpoint, Progress, load_checkpoint
from .preparation import PreparedRun

CHECKPOINT = "checkpoint.pt"
LENGTH = {"training.epochs", "training.steps", "training.budget_seconds"}
OF_NO_WEIGHT = {"cpu", "cpu_count", "platform", "python"}  # in the soft part of an environment: no number needs them


def find_checkpoint(directory: RunDirectory, spec: BenchmarkSpec) -> Checkpoint | None:
    """The checkpoint of a run of this spec; None where the run stopped before there was one.

    Raises `UsageError` for a spec that differs in more than its length, and where the file is no checkpoint of ours.
    """
    try:
        checkpoint = load_checkpoint(directory.path / CHECKPOINT)
    except MissingError:
        return None
    require_same_spec(checkpoint.progress, spec, directory.path)
    return checkpoint


def require_readable(directory: RunDirectory) -> None:
    """Raise `PluginError` if the checkpoint just written cannot be read back: better now than after a crash."""
    try:
        load_checkpoint(directory.path / CHECKPOINT)
    except UsageError as error:
        raise PluginError(
            f"the state of a plugin (a loss, an optimiser, a network) has more than tensors, numbers and text: {error}"
        ) from None


def require_same_spec(progress: Progress, spec: BenchmarkSpec, folder: Path) -> None:
    """Raise `UsageError` with what differs, but for the length and what changes nothing of a run."""
    sides = (
        {key: value for key, value in told.items() if key not in NON_TRAINING_FIELDS}
        for told in (progress.spec, spec.to_dict())
    )
    fields = {path: values for path, values in differing_fields(map(flatten, sides)).items() if path not in LENGTH}
    if fields:
        told = "; ".join(f"{path}: {before}, now {after}" for path, (before, after) in fields.items())
        raise UsageError(f"{folder}: a run can be lengthened, and nothing else of it changed: {told}")


def require_same_conditions(progress: Progress, prepared: PreparedRun, folder: Path) -> None:
    """Raise `UsageError` if the run is already longer, `NotComparableError` where its numbers would not go on.

    That is on another device or with other versions of libraries and plugins, and with other data.
    """
    if progress.steps > prepared.total_steps:
        raise UsageError(
            f"{folder}: the run has taken {progress.steps} steps, and {prepared.total_steps} are asked for: "
            "it can only be lengthened"
        )
    fields = differing_fields(
        [
            surroundings(progress.environment, progress.plugins, progress.data_content),
            surroundings(prepared.environment, prepared.plugins, prepared.data_record.content_sha256),
        ]
    )
    if fields:
        told = "; ".join(f"{name}: {before}, now {after}" for name, (before, after) in fields.items())
        raise NotComparableError(
            f"{folder}: the run would not go on as it began: {told}. Go on where it began, or start anew"
        )


def surroundings(environment: Environment, plugins: list[PluginRecord], data_content: str) -> dict[str, Any]:
    """All but the spec that a run's numbers depend on."""
    soft = {name: value for name, value in environment.may_differ.items() if name not in OF_NO_WEIGHT}
    return {**environment.must_match, **soft, **providers(plugins), "data": data_content}
