"""One training step: the discriminator's turn and the generator's, each with the other player frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganbench.data.contract import described
from ganbench.errors import GanbenchError, PluginError, describe
from ganbench.plugin.interfaces import (
    Batch,
    Loss,
    Networks,
    OptimizerFactory,
    Player,
)
from ganbench.runtime.culprit import Culprits
from ganbench.runtime.precision import Precision, autocast
from ganbench.spec.benchmark import UpdateScheme

from .state.python_state import PythonState

UPDATE_ORDER: tuple[Player, Player] = ("discriminator", "generator")
NOTHING = object()  # as long as a loss has not returned


@dataclass(frozen=True)
class StepOutput:
    """What a step reports, on the device: nothing is read from it inside the loop."""

    names: tuple[str, ...]  # d_loss, g_loss, then the loss's monitors
    values: Tensor  # float32, one for each name; an engine may overwrite it in its next step


class TrainingStep:
    """Trains both players on one batch of real images.

    Freezing is the engine's: in each turn the player's own parameters require a gradient and no others do. So the
    generator is not back-propagated through in the discriminator's turn, and the discriminator's weight gradients are
    not computed in the generator's: the same mathematics as the textbook loop for 1/1.39 of its arithmetic (on DCGAN at
    28x28). A parameter that both players have learns in both turns.
    """

    def __init__(
        self,
        networks: Networks,
        loss: Loss,
        factories: Mapping[Player, OptimizerFactory],
        latents: torch.Generator,
        precision: Precision,
        culprits: Culprits,
        memory_format: torch.memory_format = torch.contiguous_format,
        update_scheme: UpdateScheme = "alternating",
    ) -> None:
        """`culprits` names the plugin that is at fault where something raises."""
        self.networks = networks
        self.played = networks  # as the loss gets them: `compile` puts compiled ones here
        self.loss = loss
        self.latents = latents
        self.precision = precision
        self.culprits = culprits
        self.memory_format = memory_format
        self.update_scheme = update_scheme
        self.restore_count = 0  # how often the state was put back: what an engine holds of it is then out of date
        self.parameters = {player: list(networks[player].parameters()) for player in UPDATE_ORDER}
        self.trainable = {
            player: [parameter for parameter in networks[player].parameters() if parameter.requires_grad]
            for player in UPDATE_ORDER
        }
        own = {player: set(map(id, self.trainable[player])) for player in UPDATE_ORDER}
        self.frozen = {  # in each turn: what only the other player has
            player: [parameter for parameter in self.trainable[other] if id(parameter) not in own[player]]
            for player, other in zip(UPDATE_ORDER, reversed(UPDATE_ORDER), strict=True)
        }
        if update_scheme == "simultaneous" and own["discriminator"] & own["generator"]:
            raise PluginError(
                f"{culprits.model}: its networks share parameters, which training.update_scheme=simultaneous does not "
                "support: the gradients of both networks would add up; use -o training.update_scheme=alternating"
            )
        # a player without parameters has no optimiser: it takes its turn and does not move
        self.optimizers: dict[Player, Optimizer] = {}
        for player in UPDATE_ORDER:
            if self.trainable[player]:
                optimizer = factories[player](self.trainable[player])
                if not isinstance(optimizer, Optimizer):
                    raise PluginError(
                        f"{culprits.optimizers[player]}: for the {player}'s parameters it gave {described(optimizer)}; "
                        "wanted: a torch.optim.Optimizer"
                    )
                self.optimizers[player] = configure_optimizer(optimizer, latents.device)
        self.python_state = PythonState(self)

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
        for player in UPDATE_ORDER:
            loss, reported = self._backpropagate(player, real, labels)
            if self.update_scheme == "alternating":
                self._move(player)
            elif player == UPDATE_ORDER[-1]:
                for each in UPDATE_ORDER:
                    self._move(each)
            ended(player)
            losses.append(loss)
            monitors.update(reported)
        try:
            values = torch.stack([value.float() for value in (*losses, *monitors.values())])
        except Exception as error:
            cause = wrong_number({"d_loss": losses[0], "g_loss": losses[1], **monitors}) or describe(error)
            raise PluginError(f"{self.culprits.loss}: {cause}") from error
        return StepOutput(("d_loss", "g_loss", *monitors), values)

    def _backpropagate(self, player: Player, real: Tensor, labels: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Bring the player's gradients about; returns its loss and the monitors."""
        for parameter in self.frozen[player]:
            parameter.requires_grad_(False)
        for parameter in self.trainable[player]:
            parameter.requires_grad_(True)
        latent = torch.randn(len(real), self.networks.latent_dim, generator=self.latents, device=real.device)
        objective = self.loss.discriminator_loss if player == "discriminator" else self.loss.generator_loss
        returned: Any = NOTHING
        try:
            with autocast(self.precision, real.device):
                returned = objective(self.played, Batch(real, labels, latent))
            loss, monitors = returned
            monitors = {name: value.detach() for name, value in monitors.items()}
            if player in self.optimizers:
                if not loss.requires_grad and not wrong_return(returned):
                    raise PluginError(
                        f"{self.culprits.loss}: the loss for the {player} does not depend on the {player}'s "
                        "parameters: it was detached, made a new tensor, or computed without gradients"
                    )
                self.optimizers[player].zero_grad()
                loss.backward()
            return loss.detach(), monitors
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            if returned is not NOTHING and (breach := wrong_return(returned)):
                raise PluginError(f"{self.culprits.loss}: {player}_loss returned {breach}") from error
            raise self.culprits.in_turn(error, player, self.networks) from error

    def _move(self, player: Player) -> None:
        if player in self.optimizers:
            try:
                self.optimizers[player].step()
            except GanbenchError:
                raise
            except (Exception, SystemExit) as error:
                raise self.culprits.in_optimizer(error, player) from error


def wrong_return(returned: Any) -> str | None:
    """What is wrong with what a loss's method returned; None if nothing."""
    wanted = "wanted: a pair of the loss, a tensor with one number, and a mapping from names to tensors to monitor"
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        return f"{described(returned)}; {wanted}"
    loss, monitors = returned
    if not isinstance(loss, Tensor):
        return f"{described(loss)} as the loss (.item() and float() cut it off from the parameters); {wanted}"
    if loss.dim() or not loss.is_floating_point():
        return f"{described(loss)} as the loss; {wanted}"
    if not isinstance(monitors, Mapping):
        return f"{described(monitors)} as monitors; {wanted}"
    return wrong_number(monitors)


def wrong_number(reported: Mapping[str, Any]) -> str | None:
    """What is wrong with a loss or monitor by its name; None if nothing."""
    for name, value in reported.items():
        if not isinstance(value, Tensor) or value.dim():
            return f"{described(value)} as {name!r}; wanted: a tensor with one number, of shape ()"
    return None


def configure_optimizer(optimizer: Optimizer, device: torch.device) -> Optimizer:
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
