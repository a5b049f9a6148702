"""Players with a few parameters: two numbers, a point and a slope, a policy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganbench import Networks, UsageError


class Scalar(nn.Module):
    """A player that is one number, `value`, whatever it is given: `(N, ...)` to `(N, 1, 1, 1)`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, given: Tensor) -> Tensor:
        return self.value.expand(len(given), 1, 1, 1)


class Slope(Scalar):
    """A linear discriminator without a bias: images `(N, 1, 1, 1)` to logits `(N, 1)`."""

    def forward(self, given: Tensor) -> Tensor:
        return self.value * given.flatten(1)


class Policy(nn.Module):
    """A softmax over the arms of a bandit, by their preferences `theta` `(arms,)`: to probabilities `(N, arms)`."""

    def __init__(self, arms: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(arms))

    @property
    def log_probabilities(self) -> Tensor:
        return self.theta.log_softmax(0)

    def forward(self, given: Tensor) -> Tensor:
        return self.log_probabilities.exp().expand(len(given), -1)


class Nobody(nn.Module):
    """The discriminator of a game for one: it has no parameters, and so does not move."""

    def forward(self, given: Tensor) -> Tensor:
        return given.new_zeros(len(given), 1)


def scalars(networks: Networks) -> tuple[nn.Parameter, nn.Parameter]:
    """The generator's number x and the discriminator's y. Raises `UsageError` for players that are no numbers."""
    x, y = (getattr(module, "value", None) for module in (networks.generator, networks.discriminator))
    if not isinstance(x, nn.Parameter) or not isinstance(y, nn.Parameter):
        raise UsageError("this loss is a game of two numbers: it needs the model 'scalar-players' or 'dirac'")
    return x, y


def is_linear(discriminator: nn.Module) -> bool:
    """Also when it went through torch.compile."""
    return isinstance(getattr(discriminator, "_orig_mod", discriminator), Slope)


def policy(networks: Networks, arms: int) -> Policy:
    """The policy over so many arms. Raises `UsageError` for another player, or other arms."""
    found: Any = networks.generator  # or what torch.compile made of it
    if not hasattr(found, "theta") or len(found.theta) != arms:
        raise UsageError(f"this loss has {arms} rewards: it needs the model 'softmax-policy' with model.arms={arms}")
    return found
