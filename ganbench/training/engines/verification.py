"""Proves that an engine gives what the eager one gives, from one and the same state."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganbench.training.checkpoint import capture_state
from ganbench.training.data import Inputs
from ganbench.training.step import TURNS, TrainingStep

from .eager import EagerEngine, Engine

Leaves = dict[str, Any]  # values by their path, such as "networks.generator.layers.0.weight"


class Verification:
    """Takes the same steps with different engines and compares all that comes of them.

    The steps are some of the first example, then one of each other and one more of the first.
    """

    def __init__(self, eager: EagerEngine, examples: list[Inputs], steps: int, restore: Callable[[], None]) -> None:
        """`restore` brings the training back to where every engine starts."""
        self.eager = eager
        self.sequence = [examples[0]] * steps + examples[1:] + [examples[0]]
        self.restore = restore

    def moving_python(self) -> str | None:
        """What a step changes in Python, which a recording would freeze; None if nothing."""
        self.restore()
        seen = []
        for inputs in self.sequence:
            self.eager(inputs, ended=lambda _: None)
            seen.append(python_state(self.eager.step))
        return first_difference(seen[0], seen[-1])  # the first step may set things up

    def trace(self, engine: Engine) -> Leaves:
        """Every step's report and the state after the last one."""
        self.restore()
        reports: Leaves = {}
        for number, inputs in enumerate(self.sequence, start=1):
            output = engine(inputs, ended=lambda _: None)
            for name, value in zip(output.names, output.values.clone(), strict=True):
                reports[f"{name} of step {number}"] = value
        state = flat(capture_state(self.eager.step, self.eager.batches))
        # several of these are held at once, and the device may have no room for them
        return {path: leaf.cpu() if isinstance(leaf, Tensor) else leaf for path, leaf in (reports | state).items()}


def first_difference(expected: Leaves, actual: Leaves) -> str | None:
    """The path of the first value that differs or is on one side only."""
    for path in [*expected, *(path for path in actual if path not in expected)]:
        if path not in expected or path not in actual or not same_bits(expected[path], actual[path]):
            return path
    return None


def same_bits(first: Any, second: Any) -> bool:
    """Equality of plain values; of tensors in shape, type and every bit, so that NaN equals NaN and 0 not -0."""
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return type(first) is type(second) and bool(first == second)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    bits = (tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (first, second))
    return torch.equal(*bits)


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


def python_state(step: TrainingStep) -> Leaves:
    """All that a step might keep in Python: plain values in loss, networks and optimisers, and random streams."""
    kept: Leaves = {"loss": plain(vars(step.loss)) if hasattr(step.loss, "__dict__") else None}
    for player in TURNS:
        for name, module in step.networks[player].named_modules():
            kept[f"{player}.{name}" if name else player] = plain(vars(module))
    for player, optimizer in step.optimizers.items():
        groups = [{key: item for key, item in group.items() if key != "params"} for group in optimizer.param_groups]
        kept[f"{player}'s optimizer"] = plain({"groups": groups, "state": list(optimizer.state.values())})
    kept["Python's random stream"] = random.getstate()
    kept["numpy's random stream"] = plain(np.random.get_state(legacy=False))
    if step.latents.device.type != "cpu":
        kept["torch's random stream of the CPU"] = torch.get_rng_state()
    return flat(kept)


def plain(value: Any) -> Any:
    """The plain values in nested containers; tensors, modules and other objects are left out."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if isinstance(key, str | int)}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else None
