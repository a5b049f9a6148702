"""Games of two numbers: x descends f(x, y), and y ascends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import Batch, Networks, Players

from .pictures import draw_path
from .players import scalars


class Saddle:
    """`value(x, y)` is f; it is for tensors and for arrays. Its solution is (0, 0)."""

    def __init__(self, value: Callable[[Any, Any], Any], ascend: bool) -> None:
        self.value = value
        self.ascend = ascend

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        x, y = scalars(players.networks)
        value = self.value(x, y)
        # copies, for the engine reads them when the players have moved
        monitors = {"x": x.clone(), "y": y.clone(), "distance": self.distance(players.networks)}
        return (-value if self.ascend else value), monitors

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return self.value(*scalars(players.networks)), {}

    def distance(self, networks: Networks) -> Tensor:
        x, y = scalars(networks)
        return torch.hypot(x.detach(), y.detach())

    def draw(self, history: Sequence[Any], path: Path) -> None:
        draw_path(history, self.value, ("x", "y"), path)
