"""The Dirac-GAN: data at 0, a generator that is a point, a discriminator that is a slope.

Mescheder, Geiger and Nowozin 2018 (arXiv:1801.04406), definition 2.1 and section 4: the smallest GAN that does not
converge, and what does about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from ganbench import Batch, Networks, Players, UsageError

from .pictures import draw_path
from .players import is_linear, scalars

Objective = Literal["saturating", "non-saturating", "wasserstein", "hinge"]
Logits = Callable[[Tensor], Tensor]

# what the discriminator minimises of a logit of real and of fake data, and the generator of a fake one
REAL: dict[Objective, Logits] = {
    "saturating": lambda logit: softplus(-logit),
    "non-saturating": lambda logit: softplus(-logit),
    "wasserstein": lambda logit: -logit,
    "hinge": lambda logit: relu(1 - logit),
}
FAKE: dict[Objective, Logits] = {
    "saturating": softplus,
    "non-saturating": softplus,
    "wasserstein": lambda logit: logit,
    "hinge": lambda logit: relu(1 + logit),
}
GENERATOR: dict[Objective, Logits] = {
    "saturating": lambda logit: -softplus(logit),
    "non-saturating": lambda logit: softplus(-logit),
    "wasserstein": lambda logit: -logit,
    "hinge": lambda logit: -logit,
}


class Dirac:
    """One of the objectives, with the gradient penalty R1 of eq. 9: penalty / 2 times |dD/dx|^2 at the data."""

    def __init__(self, objective: Objective, penalty: float) -> None:
        self.objective = objective
        self.penalty = penalty

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        point, slope = scalars(players.networks)
        if not is_linear(players.networks.discriminator):
            raise UsageError("the loss 'dirac' needs a discriminator that looks at the point: the model 'dirac'")
        data = torch.zeros_like(batch.real)  # the blank images are only nearly 0
        real, fake = players.discriminate(data), players.discriminate(players.generate(batch))
        loss = REAL[self.objective](real).mean() + FAKE[self.objective](fake).mean()
        if self.penalty:
            gradient = players.input_gradient(data)
            loss = loss + self.penalty / 2 * gradient.flatten(1).square().sum(1).mean()
        # copies, for the engine reads them when the players have moved
        return loss, {"point": point.clone(), "slope": slope.clone(), "distance": self.distance(players.networks)}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return GENERATOR[self.objective](players.discriminate(players.generate(batch))).mean(), {}

    def distance(self, networks: Networks) -> Tensor:
        point, slope = scalars(networks)
        return torch.hypot(point.detach(), slope.detach())

    def draw(self, history: Sequence[Any], path: Path) -> None:
        draw_path(history, lambda point, slope: point * slope, ("point", "slope"), path)
