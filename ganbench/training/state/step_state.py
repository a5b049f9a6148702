"""Everything that the next step of training depends on: snapshot and restore."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganbench.data.batches import Batches
from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.attribution import optimizer_path
from ganbench.runtime.networks import all_buffers, load_weights
from ganbench.runtime.plugin_state import load_changed_state, load_saved_state, on_cpu, saved_state
from ganbench.runtime.rng import default_rng_states, set_default_rng_states
from ganbench.training.optimizers import load_optimizer_state
from ganbench.training.step import TrainingStep

from .python_state import plugin_optimizers, stateful_plugins


def snapshot_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """Return a copy of everything the next step depends on: weights, buffers, optimizers and RNG states."""
    return deepcopy(live_state(step, batches))


def live_state(step: TrainingStep, batches: Batches) -> dict[str, Any]:
    """Like `snapshot_state`, but without copies: the next step changes the tensors in place."""
    held = plugin_optimizers(step)
    return {
        "networks": {player: step.networks[player].state_dict() for player in PLAYERS},
        "optimizers": {player: optimizer.state_dict() for player, optimizer in step.optimizers.items()},
        "plugin_optimizers": {path: each.state_dict() for path, each in held.items()},
        "plugin_gradients": {
            path: [each.grad for each in parameters_of(optimizer)]
            for path, optimizer in {**held, **optimizers_that_keep_gradients(step)}.items()
        },
        "buffers": {player: all_buffers(step.networks[player]) for player in PLAYERS},  # non-persistent ones too
        "loss": saved_state(step.loss),
        "ema": step.ema.generator.state_dict() if step.ema else None,
        "ema_buffers": all_buffers(step.ema.generator) if step.ema else None,
        "penalties": [saved_state(penalty.penalty) for penalty in step.penalties.all],
        "penalty_values": step.penalty_values,
        "schedules": [scheduled.value for scheduled in step.schedules.all],
        "augmentations": [saved_state(each.augmentation) for each in step.augmentations],
        "python": step.python_state.state_dict(),
        "random": default_rng_states(step.latents.device),
        "rngs": {name: rng.get_state() for name, rng in all_rngs(step, batches).items()},
    }


def restore_state(state: dict[str, Any], step: TrainingStep, batches: Batches) -> None:
    """Restore everything that `snapshot_state` returned."""
    step.restore_count += 1
    device = step.latents.device
    for player in PLAYERS:
        load_weights(step.networks[player], state["networks"][player], state["buffers"][player], device)
    for player, optimizer in step.optimizers.items():
        load_optimizer_state(optimizer, state["optimizers"][player])
    load_saved_state(step.loss, state["loss"], device, step.plugin_names.loss)
    if step.ema is not None:
        load_weights(step.ema.generator, state["ema"], state["ema_buffers"], device)
    for penalty, saved in zip(step.penalties.all, state["penalties"], strict=True):
        load_saved_state(penalty.penalty, saved, device, penalty.plugin)
    step.penalty_values.copy_(state["penalty_values"])
    for scheduled, saved in zip(step.schedules.all, state["schedules"], strict=True):
        scheduled.value.copy_(saved)
    for each, saved in zip(step.augmentations, state["augmentations"], strict=True):
        load_saved_state(each.augmentation, saved, device, each.plugin)
    step.python_state.load_state_dict(state["python"])
    states = [state["loss"], *state["penalties"], *state["augmentations"]]
    for (path, plugin), saved in zip(stateful_plugins(step).items(), states, strict=True):
        # again, for objects that Python state cannot contain
        load_changed_state(plugin, saved, device, step.plugin_names.owner(path))
    held = plugin_optimizers(step)
    for path, saved in state["plugin_optimizers"].items():
        if path in held:
            load_optimizer_state(held[path], saved)
    for optimizer in optimizers_that_keep_gradients(step).values():
        for parameter in parameters_of(optimizer):
            parameter.grad = None  # until the first update
    step.keeping_gradients |= {player for player in PLAYERS if optimizer_path(player) in state["plugin_gradients"]}
    keeping = {**held, **optimizers_that_keep_gradients(step)}
    for path, gradients in state["plugin_gradients"].items():
        if path in keeping:
            for parameter, gradient in zip(parameters_of(keeping[path]), gradients, strict=True):
                parameter.grad = None if gradient is None else gradient.clone().to(parameter.device)
    set_default_rng_states(state["random"], device)
    for name, rng in all_rngs(step, batches).items():
        rng.set_state(state["rngs"][name])


def state_of_rank(state: dict[str, Any]) -> dict[str, Any]:
    """Return what may differ between the ranks of a run: everything except parameters, averages and optimizers.

    Its tensors are on the CPU: on another device, each would occupy that device in the process that receives it.
    """
    return {name: on_cpu(value) for name, value in state.items() if name not in ("networks", "optimizers", "ema")}


def optimizers_that_keep_gradients(step: TrainingStep) -> dict[str, Optimizer]:
    """Return the optimizers of the networks that accumulate gradients over several steps, by path.

    Those of plugins always count, too: a loss can use the gradients in its next call, as nothing of it is called once
    they are computed.
    """
    return {optimizer_path(player): step.optimizers[player] for player in sorted(step.keeping_gradients)}


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def all_rngs(step: TrainingStep, batches: Batches) -> dict[str, torch.Generator]:
    """Return the random number generators of training, except the default ones."""
    flips = {} if batches.flips is None else {"flips": batches.flips}
    return {**step.rngs, "order": batches.order, **flips}
