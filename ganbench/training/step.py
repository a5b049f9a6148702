"""One training step: the discriminator's turn and the generator's, each with the other player frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganbench.errors import PluginError
from ganbench.protocols import Batch, Loss, Networks, OptimizerFactory, Player
from ganbench.spec import Turns

from .precision import Precision, autocast

TURNS: tuple[Player, Player] = ("discriminator", "generator")


@dataclass(frozen=True)
class StepOutput:
    """What a step reports, on the device: nothing is read from it inside the loop."""

    names: tuple[str, ...]  # d_loss, g_loss, then the loss's monitors
    values: Tensor  # float32, one for each name; an engine may overwrite it in its next step


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
        memory_format: torch.memory_format = torch.contiguous_format,
        turns: Turns = "alternating",
    ) -> None:
        """`blamed("raised in ...")` is a context in which whatever is raised becomes an error that names the loss."""
        self.networks = networks
        self.played = networks  # as the loss gets them: `compile` puts compiled ones here
        self.loss = loss
        self.latents = latents
        self.precision = precision
        self.blamed = blamed
        self.memory_format = memory_format
        self.turns = turns
        self.times_restored = 0  # how often the state was put back: what an engine holds of it is then out of date
        self.trainable = {
            player: [parameter for parameter in networks[player].parameters() if parameter.requires_grad]
            for player in TURNS
        }
        # a player without parameters has no optimiser: it takes its turn and does not move
        self.optimizers: dict[Player, Optimizer] = {
            player: choose_kernels(factories[player](self.trainable[player]), latents.device)
            for player in TURNS
            if self.trainable[player]
        }

    def compile(self) -> None:
        """From the next step on, run both networks through torch.compile; shapes are taken as fixed."""
        # dynamo takes a parameter for unchanged while its module's dictionary is, and so would not notice the freezing
        torch._dynamo.config.skip_tensor_guards_with_matching_dict_tags = False
        torch._dynamo.config.use_recursive_dict_tags_for_guards = False
        generator, discriminator = (
            cast(nn.Module, torch.compile(module, dynamic=False))
            for module in (self.networks.generator, self.networks.discriminator)
        )
        self.played = Networks(generator, discriminator, self.networks.latent_dim)

    def __call__(self, real: Tensor, labels: Tensor, ended: Callable[[Player], None]) -> StepOutput:
        """Take both turns; `ended` is told after each, for the clock. Simultaneous moves count to the generator's."""
        real = real.contiguous(memory_format=self.memory_format)
        losses: list[Tensor] = []
        monitors: dict[str, Tensor] = {}
        for player in TURNS:
            loss, reported = self._backpropagate(player, real, labels)
            if self.turns == "alternating":
                self._move(player)
            elif player == TURNS[-1]:
                for each in TURNS:
                    self._move(each)
            ended(player)
            losses.append(loss)
            monitors.update(reported)
        values = torch.stack([value.float() for value in (*losses, *monitors.values())])
        return StepOutput(("d_loss", "g_loss", *monitors), values)

    def _backpropagate(self, player: Player, real: Tensor, labels: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Bring the player's gradients about; returns its loss and the monitors."""
        for each in TURNS:
            for parameter in self.trainable[each]:
                parameter.requires_grad_(each == player)
        latent = torch.randn(len(real), self.networks.latent_dim, generator=self.latents, device=real.device)
        objective = self.loss.discriminator_loss if player == "discriminator" else self.loss.generator_loss
        with self.blamed(f"raised in {player}_loss"), autocast(self.precision, real.device):
            loss, monitors = objective(self.played, Batch(real, labels, latent))
            monitors = {name: value.detach() for name, value in monitors.items()}
        if player in self.optimizers:
            if not loss.requires_grad:
                raise PluginError(f"the loss for the {player} does not depend on the {player}'s parameters")
            self.optimizers[player].zero_grad()
            loss.backward()
        return loss.detach(), monitors

    def _move(self, player: Player) -> None:
        if player in self.optimizers:
            self.optimizers[player].step()


def choose_kernels(optimizer: Optimizer, device: torch.device) -> Optimizer:
    """Let torch's Adam and SGD run fused where the plugin left that open, and keep an optimiser's state on a GPU.

    The latter is what recording a step needs; it is set whatever the engine, so that all engines compute the same.
    """
    for group in optimizer.param_groups:
        left_open = isinstance(optimizer, Adam | SGD) and group["fused"] is None and group["foreach"] is None
        if left_open and not group["differentiable"] and all(p.is_floating_point() for p in group["params"]):
            group["fused"] = True
        if "capturable" in group and device.type == "cuda":
            group["capturable"] = True
    return optimizer
