"""Whether a stopped run can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from ganbench.errors import (
    GanbenchError,
    MissingError,
    NotComparableError,
    PluginError,
    UsageError,
)
from ganbench.plugin.registry import Registry
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.layout import CHECKPOINT
from ganbench.results.progress import RunProgress
from ganbench.results.run_collection import read_spec
from ganbench.results.run_directory import RunDirectory, run_spec_file
from ganbench.results.schema import NON_TRAINING_FIELDS, DataRecord, Environment, PluginRecord, providers
from ganbench.runtime.checkpoint import Checkpoint, load_checkpoint
from ganbench.scoring.identity import DIGITS
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.length import Length
from ganbench.spec.loading import resolve
from ganbench.spec.sections import TrainingOptions

from .preparation import PreparedRun
from .schedules import changed_schedules

LENGTH = {"training.epochs", "training.steps", "training.budget_seconds"}
IRRELEVANT_TO_NUMBERS = {"cpu", "cpu_count", "platform", "python"}  # in `may_differ` of an environment
DATA = "data"  # the condition that is the content of the data


def find_checkpoint(directory: RunDirectory, spec: BenchmarkSpec) -> Checkpoint | None:
    """Return the checkpoint of a run of this spec; None if the run stopped before its first one.

    Raises `UsageError` if the specs differ in more than `extends` allows, or if the file is corrupt, and `MissingError`
    if it is gone, although the run has trained.
    """
    try:
        checkpoint = load_checkpoint(directory.path / CHECKPOINT)
    except MissingError:
        if directory.has_trained():
            raise MissingError(
                f"{directory.path}: cannot resume, because {CHECKPOINT} is missing: restore it, or start a new run"
            ) from None
        require_same_spec(read_spec(run_spec_file(directory.path)), spec, directory.path)
        return None
    require_same_spec(checkpoint.progress.spec, spec, directory.path)
    return checkpoint


def require_readable(directory: RunDirectory) -> None:
    """Raise `PluginError` if the checkpoint just written cannot be read: better now than after a crash."""
    try:
        load_checkpoint(directory.path / CHECKPOINT)
    except UsageError as error:
        raise PluginError(
            "the state of a plugin (a loss, an optimizer, a network) may contain only tensors, numbers and text: "
            f"{error}"
        ) from None


def require_same_spec(stored: Mapping[str, Any], spec: BenchmarkSpec, folder: Path) -> None:
    """Raise `UsageError` with the differences, if any, except those that extend a run or do not affect training."""
    sides = (
        {key: value for key, value in side.items() if key not in NON_TRAINING_FIELDS}
        for side in (with_todays_defaults(stored, spec), spec.to_dict())
    )
    fields = {path: values for path, values in differing_fields(map(flatten, sides)).items() if not extends(path)}
    if fields:
        changes = "; ".join(f"{path}: {before}, now {after}" for path, (before, after) in fields.items())
        raise UsageError(f"{folder}: --resume can only extend a run; changed: {changes}. Start a new run")


def with_todays_defaults(stored: Mapping[str, Any], spec: BenchmarkSpec) -> Mapping[str, Any]:
    """Return a stored spec with the defaults of the options that ganbench, or a plugin of `spec`, has gained since.

    A stored spec that is no longer valid, such as one with another plugin, is returned as it is.
    """
    registry = Registry()
    for config in spec.plugin_configs():
        registry.add(config.plugin)
    with suppress(GanbenchError):
        return resolve(stored, registry, origin="").to_dict()
    return stored


def extends(path: str) -> bool:
    """Return whether a field of the spec may change.

    These are the length of a run, its targets, which can end it, and the options of its dataset, such as the path: once
    the data is read, its content shows whether it is the same.
    """
    section = path.partition(".")[0]
    return path in LENGTH or section == "targets" or (section == "dataset" and path != "dataset.name")


def require_same_conditions(progress: RunProgress, prepared: PreparedRun, folder: Path) -> None:
    """Raise `UsageError` if the run is already longer, `NotComparableError` if conditions that affect numbers changed.

    Those are the device, the versions of libraries and plugins, the data, and what else the scores depend on, such as
    the weights of an extractor.
    """
    if progress.steps > prepared.total_steps:
        raise UsageError(
            f"{folder}: the run has already taken {progress.steps} steps, which is more than {prepared.total_steps}: "
            "--resume can only extend a run"
        )
    evaluator = prepared.evaluator
    fields = differing_fields(
        [
            {
                **score_conditions(progress.score_protocols, progress.score_software),
                **relevant_conditions(progress.environment, progress.plugins, progress.data.content_sha256),
            },
            {
                **score_conditions(evaluator.protocols(), evaluator.software()),
                **relevant_conditions(prepared.environment, prepared.plugins, prepared.data_record.content_sha256),
            },
        ]
    )
    if fields:
        remedy = "Restore them, or start a new run"
        if DATA in fields:
            fields[DATA] = (describe_data(progress.data), describe_data(prepared.data_record))
            if has_other_source(progress.data, prepared):
                remedy = f"Restore them (the data with -o dataset.source={progress.data.source}), or start a new run"
        changes = "; ".join(f"{name}: {before}, now {after}" for name, (before, after) in fields.items())
        raise NotComparableError(f"{folder}: cannot resume, because conditions changed: {changes}. {remedy}")


def describe_data(record: DataRecord) -> str:
    return f"{record.content_sha256[:DIGITS]} ({record.train_images:,} train images, source {record.source})"


def has_other_source(before: DataRecord, prepared: PreparedRun) -> bool:
    """Return whether the dataset has another source than before, and an option for it that accepts the earlier one."""
    options = prepared.spec.dataset.options
    if before.source == prepared.data_record.source or "source" not in type(options).model_fields:
        return False
    try:
        type(options).model_validate({**options.model_dump(), "source": before.source})
    except Exception:  # also of a plugin's own validators: this is only about a hint
        return False
    return True


def require_unaffected_by_length(progress: RunProgress, prepared: PreparedRun, folder: Path) -> None:
    """Raise `UsageError` if the run has another length now, and its training so far depended on its length.

    The longer run could not be repeated.
    """
    began = Length.of(TrainingOptions.model_validate(progress.spec["training"]), len(prepared.data.train))
    before = replace(prepared.context, total_steps=began.steps, total_images=began.images)
    changes = changed_schedules(prepared.spec, prepared.context, before, progress.images)
    if progress.images and began != prepared.length:
        changes += [f"{plugin} used the length of the run" for plugin in progress.length_users]
    if changes:
        raise UsageError(
            f"{folder}: --resume cannot change the length of this run from {began.steps:,} to "
            f"{prepared.total_steps:,} steps, because its training so far depends on it: "
            f"{'; '.join(changes)}. Resume it with its own length, or start a new run; one whose schedules and "
            "other plugins have a length of their own, such as kimg, can be extended"
        )


def relevant_conditions(environment: Environment, plugins: list[PluginRecord], data_content: str) -> dict[str, Any]:
    """Return everything except the spec that training depends on."""
    may_differ = {name: value for name, value in environment.may_differ.items() if name not in IRRELEVANT_TO_NUMBERS}
    return {**environment.must_match, **may_differ, **providers(plugins), DATA: data_content}


def score_conditions(
    protocols: Mapping[str, Mapping[str, Any]], software: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the software of the scores by name, as in `relevant_conditions`, and their protocols, except the data.

    Values are as in a checkpoint, which has lists in place of tuples.
    """
    used = {name: version for own in software.values() for name, version in own.items()}
    entries = {
        f"{metric}: {name}": value
        for metric, protocol in protocols.items()
        for name, value in protocol.items()
        if name != "data"
    }
    stored: dict[str, Any] = from_json(to_json({**used, **entries}, inf_nan_mode="null"))
    return stored
