"""Verifies that an engine gives the same results as the eager one from the same state."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganbench.data.batches import Inputs
from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.values import Identity, freeze, same_bits
from ganbench.training.position import Position
from ganbench.training.state.python_state import inspect_step
from ganbench.training.state.step_state import snapshot_state
from ganbench.training.step import TrainingStep

from .eager import EagerEngine, Engine
from .unordered import unordered_operations

DETERMINISTIC: Any = torch.utils.deterministic  # missing in torch's annotations
Leaves = dict[str, Any]  # values by their path, such as "networks.generator.layers.0.weight"


class Verification:
    """Takes the same steps with different engines and compares all their results.

    For every combination of penalties that are due, the steps are some with the first example, one with each other
    example, and one more with the first.
    """

    def __init__(
        self, eager: EagerEngine, examples: list[Inputs], steps: int, restore: Callable[[], None], total_images: int
    ) -> None:
        """`restore` restores the state from which every engine starts; `total_images` are those of the run."""
        self.eager = eager
        penalties, full_size = eager.step.penalties, len(examples[0][0])
        starts = [penalties.first_step(due) for due in penalties.shares]
        self.sequence = [
            # within the run, as a schedule may have no valid value after its end
            (inputs, Position(start, min(start * full_size, total_images - 1)))
            for start in starts
            for inputs in [examples[0]] * steps + examples[1:] + [examples[0]]
        ]
        self.restore = restore

    def changing_python_state(self) -> str | None:
        """Return which Python state prevents capturing a step, as it changes or cannot be inspected; None if none does.

        Only steps with a full batch are compared, as state may depend on the batch size. A first step may create
        anything except tensors: once the state is restored, they are not the tensors of the captured step any more.
        """
        self.restore()
        initial = python_values(self.eager.step)
        seen = []
        for inputs, at in self.sequence:
            self.eager(inputs, at)
            if inputs is self.sequence[0][0]:
                seen.append(python_values(self.eager.step))
        for path, type_name in inspect_step(self.eager.step).opaque.items():
            return f"{path} is {type_name}, which cannot be inspected for changes by a step"
        for later in seen[1:]:
            if changing := first_difference(seen[0], later):
                return f"{changing} changes in Python from step to step, which a CUDA graph would freeze"
        optimizers = tuple(f"{player}'s optimizer" for player in PLAYERS)
        for path, leaf in seen[0].items():
            is_new = path not in initial and not path.startswith(optimizers)
            if isinstance(leaf, Identity) and leaf.is_tensor and is_new:
                return f"{path} is a tensor that the first step creates, so each training run would have another one"
        return None

    def trace(self, engine: Engine) -> Leaves:
        """Return the output of every step and the state after the last one."""
        self.restore()
        outputs: Leaves = {}
        for number, (inputs, at) in enumerate(self.sequence, start=1):
            output = engine(inputs, at)
            for name, value in zip(output.names, output.values.clone(), strict=True):
                outputs[f"{name} of step {number}"] = value
        state = leaves_of(snapshot_state(self.eager.step, self.eager.batches))
        # on the CPU, as the device may not have enough memory for several of these
        return {path: leaf.cpu() if isinstance(leaf, Tensor) else leaf for path, leaf in (outputs | state).items()}

    def trace_in_fixed_order(self) -> Leaves:
        """Like `trace` with the eager engine, but with torch's deterministic algorithms.

        Operations that have such an algorithm add in another order than usual: that of the usual ones is not fixed, but
        may be the same in all eager runs.
        """
        with deterministic_algorithms():
            return self.trace(self.eager)

    def unordered_operations(self) -> list[str]:
        """Return the names of operations in the steps that add in no fixed order on a GPU."""
        self.restore()
        return unordered_operations(lambda: [self.eager(inputs, at) for inputs, at in self.sequence])


@contextmanager
def deterministic_algorithms() -> Iterator[None]:
    """Use torch's deterministic algorithms where there are any within the block."""
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = DETERMINISTIC.fill_uninitialized_memory
    try:
        DETERMINISTIC.fill_uninitialized_memory = False
        torch.use_deterministic_algorithms(True, warn_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operations without a deterministic algorithm
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        DETERMINISTIC.fill_uninitialized_memory = filled


def first_difference(expected: Leaves, actual: Leaves) -> str | None:
    """Return the path of the first value that differs or is missing on one side."""
    for path in [*expected, *(path for path in actual if path not in expected)]:
        if path not in expected or path not in actual or not same_bits(expected[path], actual[path]):
            return path
    return None


def distance(expected: Leaves, actual: Leaves) -> float:
    """Return the largest relative difference (by norm) of any float tensor; infinity if anything else differs.

    The parameters of a network are compared as one vector, and so are the values of one kind in an optimizer's state:
    a gradient that would be zero in exact arithmetic, such as that of a bias before batch norm, is only rounding errors
    and may differ entirely.
    """
    squared: dict[str, list[float]] = {}  # of each vector: the squared norm of the difference, and its own
    for path in expected.keys() | actual.keys():
        first, second = expected.get(path), actual.get(path)
        same = path in expected and path in actual and same_bits(first, second)
        if not (isinstance(first, Tensor) and isinstance(second, Tensor) and first.is_floating_point()):
            if same:
                continue
            return math.inf
        if first.shape != second.shape:
            return math.inf
        sums = squared.setdefault(vector_of(path), [0.0, 0.0])
        sums[0] += 0.0 if same else (first.double() - second.double()).square().sum().item()
        sums[1] += first.double().square().sum().item()
    differing = [sums for sums in squared.values() if sums[0] != 0]
    ratios = [math.sqrt(difference / norm) if norm else math.inf for difference, norm in differing]
    return max((ratio if math.isfinite(ratio) else math.inf for ratio in ratios), default=0.0)


def vector_of(path: str) -> str:
    """Return the name of the vector that a value is a part of, which is its own path for most values.

    Buffers are parts of a network, but are also compared one by one.
    """
    if path.startswith("networks."):
        return ".".join(path.split(".")[:2])
    if path.startswith("ema."):
        return "ema"
    owner, _, value = path.partition(".state.")
    if value and path.startswith(("optimizers.", "plugin_optimizers.")):
        return f"{owner}.{value.rpartition('.')[2]}"
    return path


def leaves_of(value: Any, path: str = "") -> Leaves:
    """Return the leaves of nested dictionaries, lists and tuples by path."""
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {path: value}
    leaves: Leaves = {}
    for key, inner in items:
        leaves |= leaves_of(inner, f"{path}.{key}" if path else str(key))
    return leaves


def python_values(step: TrainingStep) -> Leaves:
    """Return the state that a step may keep in Python: numbers and text by value, tensors and objects by identity."""
    inspection = inspect_step(step)
    # without tensors in torch's own modules, which compute them in each step, as spectral norm does its weight
    leaves: Leaves = {
        path: freeze(place.value)
        for path, place in inspection.places.items()
        if not (isinstance(place.value, Tensor) and place.library == "torch")
    }
    for path, module in inspection.modules.items():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            leaves[f"{path}.{name}"] = freeze(tensor)
    for path, optimizer in inspection.optimizers.items():
        for number, group in enumerate(optimizer.param_groups):
            for key, value in group.items():
                leaves[f"{path}.{number}.{key}"] = freeze(value)
        for number, state in enumerate(optimizer.state.values()):
            for key, value in state.items():
                leaves[f"{path}.state.{number}.{key}"] = freeze(value)
    leaves["the random state of Python"] = freeze(random.getstate())
    leaves["the random state of numpy"] = freeze(np.random.mtrand._rand)
    if step.latents.device.type != "cpu":
        leaves["the random state of torch on the CPU"] = torch.get_rng_state()
    return leaves
