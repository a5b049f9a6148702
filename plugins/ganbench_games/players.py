"""Players with few parameters: scalars, a linear discriminator, a policy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganbench import Networks, UsageError


class Scalar(nn.Module):
    """A player that is a single scalar, `value`, regardless of its input: `(N, ...)` to `(N, 1, 1, 1)`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.value.expand(len(inputs), 1, 1, 1)


class LinearDiscriminator(Scalar):
    """A linear discriminator without a bias: images `(N, 1, 1, 1)` to logits `(N, 1)`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.value * inputs.flatten(1)


class Policy(nn.Module):
    """A softmax policy over the arms of a bandit, with preferences `theta` `(arms,)`; returns `(N, arms)`."""

    def __init__(self, num_arms: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(num_arms))

    @property
    def log_probabilities(self) -> Tensor:
        return self.theta.log_softmax(0)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.log_probabilities.exp().expand(len(inputs), -1)


class NullPlayer(nn.Module):
    """The discriminator of a single-player game: it has no parameters."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.new_zeros(len(inputs), 1)


def scalars(networks: Networks) -> tuple[nn.Parameter, nn.Parameter]:
    """Return the generator's scalar x and the discriminator's y. Raises `UsageError` for other players."""
    x, y = (getattr(module, "value", None) for module in (networks.generator, networks.discriminator))
    if not isinstance(x, nn.Parameter) or not isinstance(y, nn.Parameter):
        raise UsageError("this loss is a game of two scalars; use model 'scalar-players' or 'dirac'")
    return x, y


def is_linear(discriminator: nn.Module) -> bool:
    """Return whether it is a `LinearDiscriminator`, even if it is wrapped by torch.compile."""
    return isinstance(getattr(discriminator, "_orig_mod", discriminator), LinearDiscriminator)


def policy(networks: Networks, num_arms: int) -> Policy:
    """Return the policy over `num_arms` arms. Raises `UsageError` for another player or number of arms."""
    found: Any = networks.generator  # possibly wrapped by torch.compile
    if not hasattr(found, "theta") or len(found.theta) != num_arms:
        raise UsageError(f"this loss has {num_arms} rewards; use model 'softmax-policy' with model.num_arms={num_arms}")
    return found
