"""Games of two scalars: x descends f(x, y), and y ascends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganbench import Batch, Networks, Players

from .players import scalars


class Saddle:
    """`value(x, y)` is f, for tensors. The solution is (0, 0)."""

    def __init__(self, value: Callable[[Any, Any], Any], ascend: bool) -> None:
        self.value = value
        self.ascend = ascend

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        x, y = scalars(players.networks)
        value = self.value(x, y)
        # copies, because the engine reads monitors after the updates
        monitors = {"x": x.clone(), "y": y.clone(), "distance": self.distance(players.networks)}
        return (-value if self.ascend else value), monitors

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return self.value(*scalars(players.networks)), {}

    def distance(self, networks: Networks) -> Tensor:
        x, y = scalars(networks)
        return torch.hypot(x.detach(), y.detach())
