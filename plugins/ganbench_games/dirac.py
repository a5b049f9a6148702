"""The Dirac-GAN: the data is at 0, the generator is a point, and the discriminator is linear.

Mescheder, Geiger and Nowozin 2018 (arXiv:1801.04406), definition 2.1 and section 4: a minimal GAN that does not
converge, and a gradient penalty that makes it converge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from ganbench import Batch, Networks, Players, UsageError

from .players import is_linear, scalars

Objective = Literal["saturating", "non-saturating", "wasserstein", "hinge"]
Logits = Callable[[Tensor], Tensor]

# the terms that the discriminator minimizes for real and fake logits, and the generator for fake logits
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
    """One of the objectives, with the R1 gradient penalty of eq. 9: r1_gamma / 2 times |dD/dx|^2 at the data."""

    def __init__(self, objective: Objective, r1_gamma: float) -> None:
        self.objective = objective
        self.r1_gamma = r1_gamma

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        point, slope = scalars(players.networks)
        if not is_linear(players.networks.discriminator):
            raise UsageError("loss 'dirac' requires a linear discriminator; use model 'dirac'")
        data = torch.zeros_like(batch.real)  # not batch.real: blank images are only approximately 0
        real, fake = players.discriminate(data), players.discriminate(players.generate(batch))
        loss = REAL[self.objective](real).mean() + FAKE[self.objective](fake).mean()
        if self.r1_gamma:
            gradient = players.input_gradient(data)
            loss = loss + self.r1_gamma / 2 * gradient.flatten(1).square().sum(1).mean()
        # copies, because the engine reads monitors after the updates
        return loss, {"point": point.clone(), "slope": slope.clone(), "distance": self.distance(players.networks)}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return GENERATOR[self.objective](players.discriminate(players.generate(batch))).mean(), {}

    def distance(self, networks: Networks) -> Tensor:
        point, slope = scalars(networks)
        return torch.hypot(point.detach(), slope.detach())
