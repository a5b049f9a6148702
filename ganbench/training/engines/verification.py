"""Proves that an engine gives what the eager one gives, from one and the same state."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganbench.data.batches import Inputs
from ganbench.runtime.values import Identity, freeze, same_bits
from ganbench.training.checkpoint import snapshot_state
from ganbench.training.position import Position
from ganbench.training.state.python_state import inspect_step
from ganbench.training.step import UPDATE_ORDER, TrainingStep

from .eager import EagerEngine, Engine

Leaves = dict[str, Any]  # values by their path, such as "networks.generator.layers.0.weight"


class Verification:
    """Takes the same steps with different engines and compares all that comes of them.

    The steps are some of the first example, then one of each other and one more of the first; so for every combination
    of penalties that are due.
    """

    def __init__(self, eager: EagerEngine, examples: list[Inputs], steps: int, restore: Callable[[], None]) -> None:
        """`restore` brings the training back to where every engine starts."""
        self.eager = eager
        penalties, whole = eager.step.penalties, len(examples[0][0])
        starts = [penalties.first_step(due) for due in penalties.shares]
        self.sequence = [
            (inputs, Position(start, start * whole))
            for start in starts
            for inputs in [examples[0]] * steps + examples[1:] + [examples[0]]
        ]
        self.restore = restore

    def changing_python_state(self) -> str | None:
        """What is in the way of recording a step: what one changes in Python, or what cannot be looked into.

        None if there is nothing. Steps of a whole batch are compared, for what depends on a batch's size alone is as
        still as that; and a first step may set up anything but tensors, which are no longer where it was recorded
        with them once the state is restored.
        """
        self.restore()
        cold = standing_still(self.eager.step)
        seen = []
        for inputs, at in self.sequence:
            self.eager(inputs, at, on_phase_end=lambda _: None)
            if inputs is self.sequence[0][0]:
                seen.append(standing_still(self.eager.step))
        for path, type_name in inspect_step(self.eager.step).opaque.items():
            return f"{path} is {type_name}, of which nobody can see whether a step changes it"
        for later in seen[1:]:
            if moving := first_difference(seen[0], later):
                return f"{moving} changes in Python from step to step, which a recording would freeze"
        optimizers = tuple(f"{player}'s optimizer" for player in UPDATE_ORDER)
        for path, leaf in seen[0].items():
            if isinstance(leaf, Identity) and leaf.is_tensor and path not in cold and not path.startswith(optimizers):
                return f"{path} is a tensor that the first step makes, so that it would be another one in each training"
        return None

    def trace(self, engine: Engine) -> Leaves:
        """Every step's report and the state after the last one."""
        self.restore()
        reports: Leaves = {}
        for number, (inputs, at) in enumerate(self.sequence, start=1):
            output = engine(inputs, at, on_phase_end=lambda _: None)
            for name, value in zip(output.names, output.values.clone(), strict=True):
                reports[f"{name} of step {number}"] = value
        state = flat(snapshot_state(self.eager.step, self.eager.batches))
        # several of these are held at once, and the device may have no room for them
        return {path: leaf.cpu() if isinstance(leaf, Tensor) else leaf for path, leaf in (reports | state).items()}


def first_difference(expected: Leaves, actual: Leaves) -> str | None:
    """The path of the first value that differs or is on one side only."""
    for path in [*expected, *(path for path in actual if path not in expected)]:
        if path not in expected or path not in actual or not same_bits(expected[path], actual[path]):
            return path
    return None


def distance(expected: Leaves, actual: Leaves) -> float:
    """The largest relative difference of any floating-point tensor, by norms; infinite where anything else differs."""
    largest = 0.0
    for path in expected.keys() | actual.keys():
        if path in expected and path in actual and same_bits(expected[path], actual[path]):
            continue
        first, second = expected.get(path), actual.get(path)
        if not (isinstance(first, Tensor) and isinstance(second, Tensor) and first.is_floating_point()):
            return float("inf")
        difference = (first.double() - second.double()).norm() / first.double().norm()
        largest = max(largest, difference.item() if difference.isfinite() else float("inf"))
    return largest


def flat(value: Any, path: str = "") -> Leaves:
    """The leaves of nested dictionaries, lists and tuples."""
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {path: value}
    leaves: Leaves = {}
    for key, inner in items:
        leaves |= flat(inner, f"{path}.{key}" if path else str(key))
    return leaves


def standing_still(step: TrainingStep) -> Leaves:
    """All that a step might keep in Python: numbers and text as they are, tensors and other objects by identity."""
    inspection = inspect_step(step)
    # a tensor in a module of torch's own is one that it computes in each step, as the weight under spectral norm
    leaves: Leaves = {
        path: freeze(place.value)
        for path, place in inspection.places.items()
        if not (isinstance(place.value, Tensor) and place.library == "torch")
    }
    for path, module in inspection.modules.items():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            leaves[f"{path}.{name}"] = freeze(tensor)
    for player, optimizer in step.optimizers.items():
        for number, group in enumerate(optimizer.param_groups):
            for key, value in group.items():
                leaves[f"{player}'s optimizer.{number}.{key}"] = freeze(value)
        for number, state in enumerate(optimizer.state.values()):
            for key, value in state.items():
                leaves[f"{player}'s optimizer.state.{number}.{key}"] = freeze(value)
    leaves["Python's random stream"] = freeze(random.getstate())
    leaves["numpy's random stream"] = freeze(np.random.mtrand._rand)
    if step.latents.device.type != "cpu":
        leaves["torch's random stream of the CPU"] = torch.get_rng_state()
    return leaves
