"""One training step: the discriminator's turn, then the generator's, each with the other player frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganbench.errors import PluginError
from ganbench.protocols import Batch, Loss, Networks, OptimizerFactory, Player

from .precision import Precision, autocast

TURNS: tuple[Player, Player] = ("discriminator", "generator")


@dataclass(frozen=True)
class StepOutput:
    """What a step reports, as scalars on the device: nothing is read from it inside the loop."""

    d_loss: Tensor
    g_loss: Tensor
    monitors: Mapping[str, Tensor]


class TrainingStep:
    """Trains both players on one batch of real images.

    Freezing is the engine's: in each turn the other player's parameters require no gradient. So the generator is not
    back-propagated through in the discriminator's turn, and the discriminator's weight gradients are not computed in
    the generator's: the same mathematics as the textbook loop for 1/1.39 of its arithmetic (on DCGAN at 28x28).
    """

    def __init__(
        self,
        networks: Networks,
        loss: Loss,
        factories: Mapping[Player, OptimizerFactory],
        latents: torch.Generator,
        precision: Precision,
        blamed: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """`blamed("raised in ...")` is a context in which whatever is raised becomes an error that names the loss."""
        self.networks = networks
        self.loss = loss
        self.latents = latents
        self.precision = precision
        self.blamed = blamed
        self.trainable = {
            player: [parameter for parameter in networks[player].parameters() if parameter.requires_grad]
            for player in TURNS
        }
        # a player without parameters has no optimiser: it takes its turn and does not move
        self.optimizers: dict[Player, Optimizer] = {
            player: factories[player](self.trainable[player]) for player in TURNS if self.trainable[player]
        }

    def __call__(self, real: Tensor, labels: Tensor, turn_ended: Callable[[Player], None]) -> StepOutput:
        """Take both turns; `turn_ended` is told after each, for the clock."""
        d_loss, d_monitors = self._turn("discriminator", self.loss.discriminator_loss, real, labels)
        turn_ended("discriminator")
        g_loss, g_monitors = self._turn("generator", self.loss.generator_loss, real, labels)
        turn_ended("generator")
        return StepOutput(d_loss, g_loss, {**d_monitors, **g_monitors})

    def _turn(
        self,
        player: Player,
        objective: Callable[[Networks, Batch], tuple[Tensor, Mapping[str, Tensor]]],
        real: Tensor,
        labels: Tensor,
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        for each in TURNS:
            for parameter in self.trainable[each]:
                parameter.requires_grad_(each == player)
        latent = torch.randn(len(real), self.networks.latent_dim, generator=self.latents, device=real.device)
        with self.blamed(f"raised in {player}_loss"), autocast(self.precision, real.device):
            loss, monitors = objective(self.networks, Batch(real, labels, latent))
            monitors = {name: value.detach() for name, value in monitors.items()}
        if player in self.optimizers:
            if not loss.requires_grad:
                raise PluginError(f"the loss for the {player} does not depend on the {player}'s parameters")
            optimizer = self.optimizers[player]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.detach(), monitors
