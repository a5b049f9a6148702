"""Update rules for games that torch.optim does not provide."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


class UpdateRule(Optimizer):
    """Base class of rules that update each parameter separately, from its gradient and state."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient. `closure` is part of torch's interface and is not called."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, parameter.grad, group["lr"])

    def update(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        raise NotImplementedError


class GradientDescent(UpdateRule):
    """Gradient descent with momentum: v <- momentum v - lr g, w <- w + v.

    Unlike torch's SGD, it accepts a negative `lr`, which ascends the objective, and a negative `momentum`, which damps
    games that rotate (Gidel et al. 2019, arXiv:1807.04740).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(parameters, lr)
        self.momentum = momentum

    def update(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        if not self.momentum:
            parameter.add_(gradient, alpha=-lr)
            return
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        parameter.add_(state["velocity"].mul_(self.momentum).add_(gradient, alpha=-lr))


class Optimistic(UpdateRule):
    """Optimistic gradient descent: w <- w - 2 lr g + lr g' (Daskalakis et al. 2018, arXiv:1711.00141).

    g' is the gradient of the previous step. The first step is plain gradient descent.
    """

    def update(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        state = self.state[parameter]
        if "previous" not in state:
            state["previous"] = gradient.clone()
        parameter.add_(gradient, alpha=-2 * lr).add_(state["previous"], alpha=lr)
        state["previous"].copy_(gradient)


class Extragradient(UpdateRule):
    """Extragradient: extrapolate, then update from the original point by the gradient found there (Korpelevich 1976).

    Odd steps extrapolate, w' <- w - lr g(w), and even steps update, w <- w - lr g(w'), so an update takes two steps and
    two batches. For GANs see Gidel et al. 2019 (arXiv:1802.10551). It is intended for both players, with simultaneous
    updates and an even number of steps: after an odd number, the parameters are at the extrapolated point.
    """

    steps_per_update = 2

    def update(self, parameter: nn.Parameter, gradient: torch.Tensor, lr: float) -> None:
        state = self.state[parameter]
        if not state:
            state["anchor"] = parameter.detach().clone()
            # 0 or 1, in the parameter's dtype, because torch's load_state_dict converts state to it
            state["ahead"] = parameter.new_zeros(())
        # no branch in Python, so that the step can be captured as a CUDA graph
        state["anchor"].copy_(torch.where(state["ahead"] > 0, state["anchor"], parameter))
        parameter.copy_(state["anchor"] - lr * gradient)
        state["ahead"].mul_(-1).add_(1)
