"""Update rules for games that torch.optim does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


class UpdateRule(Optimizer):
    """A rule that moves one parameter at a time, by its gradient and a state of its own."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; `closure` is there for torch's sake and is not called."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, parameter.grad, group["lr"])

    def move(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        raise NotImplementedError


class GradientDescent(UpdateRule):
    """v <- momentum v - lr g, w <- w + v: plain descent without momentum.

    Unlike torch's SGD it takes a negative `lr`, which ascends what the player should minimise, and a negative
    `momentum`, which brakes games that rotate (Gidel et al. 2019, arXiv:1807.04740).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(parameters, lr)
        self.momentum = momentum

    def move(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        if not self.momentum:
            parameter.add_(gradient, alpha=-lr)
            return
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        parameter.add_(state["velocity"].mul_(self.momentum).add_(gradient, alpha=-lr))


class Optimistic(UpdateRule):
    """w <- w - 2 lr g + lr g', g' being the gradient of the step before (Daskalakis et al. 2018, arXiv:1711.00141).

    The first step, which has none before, is plain descent.
    """

    def move(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        state = self.state[parameter]
        if "previous" not in state:
            state["previous"] = gradient.clone()
        parameter.add_(gradient, alpha=-2 * lr).add_(state["previous"], alpha=lr)
        state["previous"].copy_(gradient)


class Extragradient(UpdateRule):
    """Look ahead, then move from where one stood by the gradient found there (Korpelevich 1976).

    Every odd step extrapolates, w' <- w - lr g(w), and every even one updates, w <- w - lr g(w'): two steps, and two
    batches, are one update; for GANs see Gidel et al. 2019 (arXiv:1802.10551). It is meant for both players at once, in
    simultaneous turns, and an even number of steps: after an odd one they stand where they looked ahead to.
    """

    def move(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        state = self.state[parameter]
        if not state:
            state["anchor"] = parameter.detach().clone()
            state["ahead"] = parameter.new_zeros(())  # 0 or 1: torch loads no other type
        # without a branch in Python, so that a recorded step does the same
        state["anchor"].copy_(torch.where(state["ahead"] > 0, state["anchor"], parameter))
        parameter.copy_(state["anchor"] - lr * gradient)
        state["ahead"].mul_(-1).add_(1)
