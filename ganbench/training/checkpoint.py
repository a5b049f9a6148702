"""The state of a training run: snapshot, restore, and the file checkpoint.pt."""

from __future__ import annotations

import pickle
import re
import zipfile
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data.batches import Batches
from ganbench.errors import MissingError, UsageError
from ganbench.results.schema import Environment, EpochRow, Memory, MetricPoint, PluginRecord, Record, Window
from ganbench.runtime.rng import default_rng_states, set_default_rng_states
from ganbench.system.files import atomic_write

from .step import UPDATE_ORDER, TrainingStep

SCHEMA_VERSION = 5
# the errors that torch and pydantic raise for a corrupt file
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def snapshot_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """Return a copy of everything the next step depends on: weights, buffers, optimizers and RNG states."""
    return deepcopy(live_state(step, batches))


def live_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """Like `snapshot_state`, but without copies: the next step changes the tensors in place."""
    return {
        "networks": {player: step.networks[player].state_dict() for player in UPDATE_ORDER},
        "optimizers": {player: optimizer.state_dict() for player, optimizer in step.optimizers.items()},
        "buffers": {player: all_buffers(step.networks[player]) for player in UPDATE_ORDER},  # non-persistent ones too
        "loss": saved_state(step.loss),
        "ema": step.ema.generator.state_dict() if step.ema else None,
        "ema_buffers": all_buffers(step.ema.generator) if step.ema else None,
        "penalties": [saved_state(penalty.penalty) for penalty in step.penalties.all],
        "penalty_values": step.penalty_values,
        "augmentations": [saved_state(augmentation) for _, augmentation in step.augmentations],
        "python": step.python_state.state_dict(),
        "random": default_rng_states(step.latents.device),
        "rngs": {name: rng.get_state() for name, rng in all_rngs(step, batches).items()},
    }


def restore_state(state: dict[str, Any], step: TrainingStep, batches: Batches) -> None:
    """Restore everything that `snapshot_state` returned."""
    step.restore_count += 1
    for player in UPDATE_ORDER:
        restore_buffers(step.networks[player], state["buffers"][player], saved=set(state["networks"][player]))
        step.networks[player].load_state_dict(state["networks"][player])
    for player, optimizer in step.optimizers.items():
        optimizer.load_state_dict(deepcopy(state["optimizers"][player]))
    step.link_schedules()
    load_saved_state(step.loss, state["loss"])
    if step.ema is not None:
        average = step.ema.generator
        restore_buffers(average, state["ema_buffers"], saved=set(state["ema"]))
        average.load_state_dict(state["ema"])
    for penalty, saved in zip(step.penalties.all, state["penalties"], strict=True):
        load_saved_state(penalty.penalty, saved)
    step.penalty_values.copy_(state["penalty_values"])
    for (_, augmentation), saved in zip(step.augmentations, state["augmentations"], strict=True):
        load_saved_state(augmentation, saved)
    step.python_state.load_state_dict(state["python"])
    set_default_rng_states(state["random"], step.latents.device)
    for name, rng in all_rngs(step, batches).items():
        rng.set_state(state["rngs"][name])


def state_of_rank(state: dict[str, Any]) -> dict[str, Any]:
    """Return what may differ between the ranks of a run: everything except parameters, averages and optimizers."""
    return {name: value for name, value in state.items() if name not in ("networks", "optimizers", "ema")}


def saved_state(plugin: Any) -> Any:
    """Return the `state_dict` of a loss, penalty or augmentation; None if it has none."""
    return plugin.state_dict() if hasattr(plugin, "state_dict") else None


def load_saved_state(plugin: Any, state: Any) -> None:
    if hasattr(plugin, "load_state_dict"):
        plugin.load_state_dict(deepcopy(state))


def all_rngs(step: TrainingStep, batches: Batches) -> dict[str, torch.Generator]:
    """Return the random number generators of training, except the default ones."""
    flips = {} if batches.flips is None else {"flips": batches.flips}
    return {**step.rngs, "order": batches.order, **flips}


def all_buffers(network: nn.Module) -> dict[str, Tensor | None]:
    """Return the buffers by name, including those that are registered as None and created later."""
    return {
        f"{path}.{name}" if path else name: buffer
        for path, module in network.named_modules()
        for name, buffer in module._buffers.items()
    }


def restore_buffers(network: nn.Module, buffers: dict[str, Tensor | None], saved: set[str]) -> None:
    """Make `buffers` the only buffers of a network: some are created in a first forward pass, or have a batch's size.

    `saved` has the names of the buffers in its `state_dict`.
    """
    present = all_buffers(network)
    for name in [*present, *(name for name in buffers if name not in present)]:
        path, _, own_name = name.rpartition(".")
        module = network.get_submodule(path)
        now, before = present.get(name), buffers.get(name)
        if name not in buffers:
            delattr(module, own_name)
        elif now is not None and before is not None and now.shape == before.shape and now.dtype == before.dtype:
            now.copy_(before)
        elif now is not before:
            fresh = None if before is None else before.to(device_of(network), copy=True)
            if name in present:
                module._buffers[own_name] = fresh
            else:
                module.register_buffer(own_name, fresh, persistent=name in saved)


def device_of(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.get_default_device())


class OpenEpoch(Record):
    """The values that the steps of an unfinished epoch reported."""

    epoch: int
    d_losses: list[float]
    g_losses: list[float]
    monitors: dict[str, float]


class RunProgress(Record):
    """The position of a run and its measurements so far."""

    run_id: str
    created_at: datetime
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    environment: Environment
    data_content: str  # SHA-256
    steps: int
    images: int
    history: list[EpochRow]
    open_epoch: OpenEpoch | None
    windows: list[Window]
    phase_seconds: dict[str, float]
    memory: Memory
    evaluation_seconds: float
    curves: dict[str, list[MetricPoint]]  # by metric id
    artifacts: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """The complete state to resume a run from."""

    progress: RunProgress
    state: dict[str, Any]  # from `snapshot_state`
    order: Tensor  # the state of the batches' rng at the beginning of the current epoch
    other_ranks: list[dict[str, Any]] = field(default_factory=list)  # from `state_of_rank`

    def require_ranks(self, size: int, folder: Path) -> None:
        """Raise `UsageError` if the run had another number of ranks."""
        if size != len(self.other_ranks) + 1:
            raise UsageError(
                f"{folder}: the run was split over {len(self.other_ranks) + 1} processes, now {size}: start torchrun "
                f"with --nproc-per-node {len(self.other_ranks) + 1} to resume it"
            )

    def state_for(self, rank: int) -> dict[str, Any]:
        """Return the state to restore on a rank."""
        return self.state if rank == 0 else {**self.state, **self.other_ranks[rank - 1]}

    def save(self, path: Path) -> None:
        """Write the file atomically, with only tensors, numbers and text, which load without running code."""
        with atomic_write(path) as part:
            torch.save(
                {
                    "schema_version": SCHEMA_VERSION,
                    "progress": self.progress.model_dump_json(),
                    "state": self.state,
                    "order": self.order,
                    "other_ranks": self.other_ranks,
                },
                part,
            )


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, without running any code in it.

    Raises `MissingError` if there is no file, and `UsageError` if it is corrupt or not written by ganbench.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content["schema_version"] != SCHEMA_VERSION:
            raise UsageError(
                f"checkpoint {path}: schema version {content['schema_version']}; expected {SCHEMA_VERSION}"
            )
        progress = RunProgress.model_validate_json(content["progress"])
        return Checkpoint(progress, content["state"], content["order"], content["other_ranks"])
    except FileNotFoundError:
        raise MissingError(f"checkpoint {path}: file not found") from None
    except UNREADABLE as error:
        raise UsageError(f"checkpoint {path}: corrupt, or not written by ganbench: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error).partition("\n")[0])  # torch colors its messages
