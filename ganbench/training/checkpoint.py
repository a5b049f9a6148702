"""The state of a training: captured, restored, written as checkpoint.pt, and read back."""

from __future__ import annotations

import pickle
import re
import zipfile
from copy import deepcopy
from dataclasses import dataclass
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

SCHEMA_VERSION = 4
# whatever a file that is no whole checkpoint can make torch and pydantic raise
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
    """A copy of all that the next step depends on: weights, buffers, optimisers and random streams."""
    return deepcopy(live_state(step, batches))


def live_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """As `snapshot_state`, but with the very tensors that the next step will change: it takes no memory."""
    return {
        "networks": {player: step.networks[player].state_dict() for player in UPDATE_ORDER},
        "optimizers": {player: optimizer.state_dict() for player, optimizer in step.optimizers.items()},
        "buffers": {player: all_buffers(step.networks[player]) for player in UPDATE_ORDER},  # unsaved ones too
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
    """Bring everything back to where `snapshot_state` found it."""
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


def saved_state(plugin: Any) -> Any:
    """The `state_dict` of a loss, penalty or augmentation; None if it has none."""
    return plugin.state_dict() if hasattr(plugin, "state_dict") else None


def load_saved_state(plugin: Any, state: Any) -> None:
    if hasattr(plugin, "load_state_dict"):
        plugin.load_state_dict(deepcopy(state))


def all_rngs(step: TrainingStep, batches: Batches) -> dict[str, torch.Generator]:
    """The random number generators of training, besides the default ones."""
    flips = {} if batches.flips is None else {"flips": batches.flips}
    return {**step.rngs, "order": batches.order, **flips}


def all_buffers(network: nn.Module) -> dict[str, Tensor | None]:
    """The buffers by their names, also those that are registered as None and made later."""
    return {
        f"{path}.{name}" if path else name: buffer
        for path, module in network.named_modules()
        for name, buffer in module._buffers.items()
    }


def restore_buffers(network: nn.Module, buffers: dict[str, Tensor | None], saved: set[str]) -> None:
    """Give a network these buffers and no others: some are made in a first forward, or have a batch's size.

    `saved` has the names of those that are part of its `state_dict`.
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
    """What the steps of an unfinished epoch have reported."""

    epoch: int
    d_losses: list[float]
    g_losses: list[float]
    monitors: dict[str, float]


class Progress(Record):
    """How far a run has come, and what it has measured on the way."""

    run_id: str
    created_at: datetime
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    environment: Environment
    data_content: str  # its SHA-256
    steps: int
    images: int
    history: list[EpochRow]
    open_epoch: OpenEpoch | None
    windows: list[Window]
    phase_seconds: dict[str, float]
    memory: Memory
    evaluation_seconds: float
    curves: dict[str, list[MetricPoint]]  # of each metric, by its id
    artifacts: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """All that it takes to go on where a run stopped."""

    progress: Progress
    state: dict[str, Any]  # as `snapshot_state` has it
    order: Tensor  # the state of the batches' generator where the epoch began that training stands in

    def save(self, path: Path) -> None:
        """Write it whole or not at all: tensors, numbers and text alone, which load without running code."""
        with atomic_write(path) as part:
            torch.save(
                {
                    "schema_version": SCHEMA_VERSION,
                    "progress": self.progress.model_dump_json(),
                    "state": self.state,
                    "order": self.order,
                },
                part,
            )


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of ours, without running any code in it.

    Raises `MissingError` where there is none, and `UsageError` for a file that is not whole or not ours.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content["schema_version"] != SCHEMA_VERSION:
            raise UsageError(f"checkpoint {path}: it is of schema {content['schema_version']}, not {SCHEMA_VERSION}")
        progress = Progress.model_validate_json(content["progress"])
        return Checkpoint(progress, content["state"], content["order"])
    except FileNotFoundError:
        raise MissingError(f"checkpoint {path}: there is none") from None
    except UNREADABLE as error:
        raise UsageError(f"checkpoint {path}: not a whole checkpoint of ganbench: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error).partition("\n")[0])  # torch's are coloured
