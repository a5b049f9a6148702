"""Optimizers that break a rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ganbench import OptimizerPlugin

from .broken import Broken, disturbed


class Descent(Optimizer):
    """Gradient descent, with a step size that depends on `self.scale`."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(self.direction(parameter.grad), alpha=0.1)

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient


class Slowing(Descent):
    """Keeps the number of its steps outside of its state."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self.steps = 0

    def direction(self, gradient: Tensor) -> Tensor:
        self.steps += 1
        return gradient / self.steps


class Disturbed(Descent):
    def __init__(self, parameters: Any, disturbance: Callable[[Tensor], Tensor]) -> None:
        super().__init__(parameters)
        self.disturbance = disturbance

    def direction(self, gradient: Tensor) -> Tensor:
        return self.disturbance(gradient)


def optimizer(factory: Any) -> OptimizerPlugin:
    return OptimizerPlugin(name="mine", summary="Gradient descent", build=lambda *_: factory)


SOUND = optimizer(partial(SGD, lr=0.1))
BROKEN = {
    "it is an optimizer of all parameters": Broken(
        optimizer(lambda parameters: SGD(parameters[:1], lr=0.1)), "got none for bias"
    ),
    "it accepts parameters without a gradient": Broken(optimizer(Descent), "NoneType"),
    "it resumes from its state": Broken(optimizer(Slowing), "after 6 steps: expected the parameters"),
    "it descends": Broken(optimizer(partial(SGD, lr=0.1, maximize=True)), "expected to be nearer to the minimum"),
    **disturbed(
        lambda disturbance: optimizer(lambda parameters: Disturbed(parameters, disturbance())),
        "discriminator's optimizer.disturbance",
    ),
}
