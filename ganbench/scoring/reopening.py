"""Reopen a run: its trained model is rebuilt from the run directory alone, the dataset is neither needed nor loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ganbench.data.labels import LabelSampler
from ganbench.errors import GanbenchWarning, MissingError, NotComparableError, UsageError, describe
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import BuildContext
from ganbench.plugin.registry import Registry
from ganbench.results.layout import CHECKPOINT
from ganbench.results.progress import RunProgress
from ganbench.results.run_directory import require_run_directory
from ganbench.results.schema import DataRecord, PluginRecord, load_result
from ganbench.runtime.attribution import PluginNames, optimizer_path
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.runtime.networks import load_weights
from ganbench.runtime.process_state import fresh_process_state
from ganbench.runtime.spectral_norm import set_exact_singular_vectors
from ganbench.spec.configs import ModelConfig, ScheduleConfig
from ganbench.spec.length import Length
from ganbench.spec.sections import EngineOptions, ScoringOptions, TrainingOptions
from ganbench.system.files import cache_dir

from .networks import MEMORY_FORMATS, build_networks
from .sampling import Sampler
from .trained import TrainedRun

ENDED = {"interrupted": "was interrupted", "diverged": "diverged", "failed": "failed"}  # by status
UNFINISHED = "was killed or is still running"


def open_run(directory: Path, registry: Registry, device: torch.device) -> TrainedRun:
    """Rebuild the networks of a run, with the weights of its checkpoint.

    Only the plugin of the model is needed. Warns with `GanbenchWarning` of each of `TrainedRun.caveats`: its code has
    changed since the run, it has state that is not restored, or the run is not complete. Raises `UsageError` if it is
    not a run directory or its checkpoint is corrupt, `MissingError` if there is no checkpoint or the model's plugin is
    not installed, and `NotComparableError` if the weights do not fit the networks.
    """
    require_run_directory(directory)
    with fresh_process_state(device):  # as in the run
        return rebuild(directory, registry, device)


def rebuild(directory: Path, registry: Registry, device: torch.device) -> TrainedRun:
    """Build the networks of a run and load their weights. Raises the errors of `open_run`."""
    checkpoint = load_checkpoint(directory / CHECKPOINT)
    progress, state = checkpoint.progress, checkpoint.state
    spec, data = progress.spec, progress.data
    model = find_model(directory, progress, registry)
    training = TrainingOptions.model_validate(spec["training"])
    caveats = [
        *explain_changed(directory, progress, model),
        *explain_unrestored(directory, state["python"], model),
        *explain_incomplete(directory, progress, training),
    ]
    for message in caveats:  # before the weights are loaded, as changed code may not fit them
        warn(message)
    context = context_of(training, data, progress.steps, device)
    memory_format = MEMORY_FORMATS[EngineOptions.model_validate(spec.get("engine", {})).memory_format]
    networks = build_networks(model, context, memory_format)
    average = deepcopy(networks.generator).requires_grad_(False) if state["ema"] else None
    try:
        for player in PLAYERS:
            load_weights(networks[player], state["networks"][player], state["buffers"][player], device)
        if average is not None:
            load_weights(average, state["ema"], state["ema_buffers"], device)
            set_exact_singular_vectors(average)
    except (RuntimeError, AttributeError) as error:
        raise NotComparableError(
            f"{directory}: the weights do not fit the networks that {model.plugin} builds now; restore the code with "
            f"which the run was started ({model_record(progress)}): {describe(error)}"
        ) from None
    names = PluginNames(str(model.plugin), loss="the loss", optimizers={})
    counts = data.label_counts if networks.conditional else None
    sampler = Sampler(
        networks,
        names,
        context.data_shape,
        device,
        warn,
        labels=LabelSampler(counts, device) if counts else None,
        average=None if average is None else lambda: average,
    )
    scoring = ScoringOptions.model_validate(spec.get("scoring", {}))
    return TrainedRun(
        directory=directory,
        progress=progress,
        model=model,
        training=training,
        scoring=scoring,
        ema=spec.get("ema"),
        networks=networks,
        average=average,
        sampler=sampler,
        device=device,
        caveats=caveats,
    )


def context_of(training: TrainingOptions, data: DataRecord, steps: int, device: torch.device) -> BuildContext:
    """Return the context in which the run built its model, with schedules as in the last of its `steps` so far."""
    assert data.data_shape is not None  # checkpoints of this schema version have it
    assert data.num_classes is not None
    length = Length.of(training, data.train_images)
    context = BuildContext(
        data_shape=data.data_shape,
        num_classes=data.num_classes,
        device=str(device),
        cache_dir=cache_dir(),
        seed=training.seed,
        total_steps=length.steps,
        total_images=length.images,
    )
    last = length.images_after(max(0, steps - 1))  # after which the run scored
    return replace(context, scheduled=partial(value_at, images=last, context=context))


def value_at(option: Any, images: int, context: BuildContext) -> Any:
    """Return a constant as it is; for a schedule, a tensor with its value after `images` images."""
    if not isinstance(option, ScheduleConfig):
        return option
    return torch.tensor(float(option.build(context)(images)), device=context.device)


def explain_changed(directory: Path, progress: RunProgress, model: ModelConfig) -> Iterator[str]:
    """Yield how the model's code has changed since the run, if it has."""
    record = model_record(progress)
    try:
        now = PluginRecord.model_validate(model.plugin.record())
    except NotComparableError as error:  # edited in this process, so it may be the code of the run
        yield f"{directory}: its images may differ from those of the run: {error}"
        return
    if now != record:
        yield f"{directory}: the model's code has changed since the run, so its images may differ: {record}, now {now}"


def explain_unrestored(directory: Path, python_state: Iterable[str], model: ModelConfig) -> Iterator[str]:
    """Yield which state of the generator a checkpoint does not restore, given the paths of all such state, if any."""
    optimizer = optimizer_path("generator")
    held = [path for path in python_state if path.startswith("generator") and not path.startswith(optimizer)]
    if paths := sorted(held):
        yield (
            f"{directory}: {model.plugin} keeps state outside of its parameters and buffers, which is not restored; "
            f"its images may differ from those of the run: {', '.join(paths)}"
        )


def explain_incomplete(directory: Path, progress: RunProgress, training: TrainingOptions) -> Iterator[str]:
    """Yield why the checkpoint is not the end of a complete run, and its step, if it is not.

    A run can be complete before its last step, because of a budget or a target.
    """
    try:
        result = load_result(directory)
    except MissingError:
        outcome = UNFINISHED
    except UsageError as error:
        outcome = f"may not be complete ({error})"
    else:
        if result.status != "completed":
            outcome = ENDED[result.status]
        elif result.images == progress.images:
            return
        else:  # completed, and then extended
            outcome = UNFINISHED
    total = training.total_steps(progress.data.train_images)
    untrained = ", so the generator is untrained" if progress.steps == 0 else ""
    yield (
        f"{directory}: the run {outcome}; its images are those of the checkpoint after step {progress.steps:,} of "
        f"{total:,}{untrained}"
    )


def find_model(directory: Path, progress: RunProgress, registry: Registry) -> ModelConfig:
    """Return the model of a run with its options. Raises `MissingError` if its plugin is not installed."""
    record = model_record(progress)
    found = [each for each in registry.of_kind(Kind.MODEL) if each.plugin.name == record.name]
    same = [each for each in found if each.provider.distribution == record.distribution]
    if not same:
        others = f"; {' and '.join(str(each.provider) for each in found)} provides another one" if found else ""
        raise MissingError(
            f"{directory}: model '{record.name}' is not installed{others}. The run used {record}; install it, or pass "
            "a file of that name with -p"
        )
    options = {**progress.spec["model"], "name": f"{record.name}@{record.distribution}"}
    try:
        return ModelConfig.model_validate(options, context={"registry": registry})
    except ValidationError as error:
        raise NotComparableError(
            f"{directory}: {same[0]} no longer accepts the options of the run, which used {record}: {describe(error)}"
        ) from None


def model_record(progress: RunProgress) -> PluginRecord:
    """Return the record of the model's plugin, with the version and the hash with which the run was started."""
    return next(record for record in progress.plugins if record.kind == Kind.MODEL)


def warn(message: str) -> None:
    warnings.warn(message, GanbenchWarning, stacklevel=3)
