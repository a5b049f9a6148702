"""A step's state as values by path: collected, and compared between two steps or runs."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ganbench.runtime.values import freeze, same_bits

from .python_state import inspect_step

if TYPE_CHECKING:
    from ganbench.training.step import TrainingStep

Leaves = dict[str, Any]  # values by their path, such as "networks.generator.layers.0.weight"


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
