"""What a plugin must not do in a training step, as functions of a tensor that return it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


class Unseeded:
    """Adds noise that differs in every run."""

    def __init__(self) -> None:
        self.rng = torch.Generator()
        self.rng.seed()

    def __call__(self, values: Tensor) -> Tensor:
        return values + torch.rand(values.shape, generator=self.rng)


class Replacing:
    """Keeps its state in an object, which is replaced in each step, and which a checkpoint cannot contain."""

    def __call__(self, values: Tensor) -> Tensor:
        self.state = SimpleNamespace(done=True)
        return values


class Counting:
    """Counts steps in Python."""

    calls = 0

    def __call__(self, values: Tensor) -> Tensor:
        self.calls += 1
        return values


class Reading:
    """Reads a value on the host."""

    def __call__(self, values: Tensor) -> Tensor:
        return values if values.mean() > 0 else values + 0


# the rules, with a disturbance that breaks each and a part of the message
DISTURBANCES: dict[str, tuple[Any, str]] = {
    "equal seeds give equal results": (Unseeded, "expected equal states after two steps with equal seeds, got another"),
    "training can be resumed": (Replacing, "expected state in tensors, numbers and text, got other state in"),
    "a step changes no python state": (Counting, "got {path}.calls"),
    "a step reads nothing from the device": (Reading, "cannot be called on meta tensors (disturbances.py, line"),
}
