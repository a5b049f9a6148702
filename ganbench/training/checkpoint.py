"""The state of a training: captured, restored, and written as checkpoint.pt."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from ganbench.files import written_whole

from .data import Batches
from .step import TURNS, TrainingStep


def capture_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """A copy of all that the next step depends on: weights, buffers, optimisers and random streams."""
    return deepcopy(live_state(step, batches))


def live_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """As `capture_state`, but with the very tensors that the next step will change: it takes no memory."""
    device = step.latents.device
    return {
        "networks": {player: step.networks[player].state_dict() for player in TURNS},
        "optimizers": {player: optimizer.state_dict() for player, optimizer in step.optimizers.items()},
        "buffers": {player: dict(step.networks[player].named_buffers()) for player in TURNS},  # unsaved ones too
        "loss": step.loss.state_dict() if hasattr(step.loss, "state_dict") else None,
        "random": {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "latents": step.latents.get_state(),
            "order": batches.generator.get_state(),
        },
    }


def restore_state(state: dict[str, Any], step: TrainingStep, batches: Batches) -> None:
    """Bring everything back to where `capture_state` found it."""
    step.times_restored += 1
    for player in TURNS:
        step.networks[player].load_state_dict(state["networks"][player])
        for name, buffer in step.networks[player].named_buffers():
            buffer.copy_(state["buffers"][player][name])
    for player, optimizer in step.optimizers.items():
        optimizer.load_state_dict(deepcopy(state["optimizers"][player]))
    if hasattr(step.loss, "load_state_dict"):
        step.loss.load_state_dict(deepcopy(state["loss"]))
    random = state["random"]
    torch.set_rng_state(random["cpu"])
    if random["cuda"] is not None:
        torch.cuda.set_rng_state(random["cuda"], step.latents.device)
    step.latents.set_state(random["latents"])
    batches.generator.set_state(random["order"])


def save_checkpoint(path: Path, state: dict[str, Any], progress: dict[str, int], spec: dict[str, Any]) -> None:
    """Write a checkpoint of plain tensors and numbers, which loads with `weights_only=True`."""
    with written_whole(path) as part:
        torch.save({"state": state, "progress": progress, "spec": spec}, part)
