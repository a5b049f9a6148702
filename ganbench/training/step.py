"""One training step: updates of the discriminator and one of the generator, each with the other network frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, Optimizer

from ganbench.data.contract import described
from ganbench.data.labels import LabelSampler
from ganbench.errors import GanbenchError, PluginError, UsageError, describe
from ganbench.plugin.interfaces import Augmentation, Batch, Loss, Networks, OptimizerFactory, Player
from ganbench.runtime.attribution import PluginNames
from ganbench.runtime.precision import Precision, autocast
from ganbench.spec.benchmark import UpdateScheme

from .ema import EMA
from .penalties import Penalties, Variant
from .players import UpdatePlayers
from .position import Position
from .schedules import ScheduledValues
from .state.python_state import PythonState

UPDATE_ORDER: tuple[Player, Player] = ("discriminator", "generator")
NOTHING = object()  # as long as a loss has not returned


@dataclass(frozen=True)
class StepOutput:
    """What a step reports, on the device: nothing is read from it inside the loop."""

    names: tuple[str, ...]  # d_loss, g_loss, the loss's monitors, then the penalties
    values: Tensor  # float32, one for each name; an engine may overwrite it in its next step


@dataclass(frozen=True)
class Clipping:
    """What is done to a network's gradients before its optimizer's step, and to its weights after it."""

    max_grad_norm: float | None = None
    max_weight: float | None = None


@dataclass(frozen=True)
class UpdateSizes:
    """How the real images of a step are shared out."""

    discriminator: int | None = None  # per update of the discriminator; None is all images of the step at once
    generator: int | None = None  # per update of the generator; None is as many as for the discriminator


class TrainingStep:
    """Trains both networks on the real images of one step.

    Freezing is the engine's: in each update the network's own parameters require a gradient and no others do. So the
    generator is not back-propagated through in the discriminator's update, and the discriminator's weight gradients are
    not computed in the generator's: the same mathematics as the textbook loop for 1/1.39 of its arithmetic (on DCGAN at
    28x28). A parameter that both networks have is trained in both updates.
    """

    def __init__(
        self,
        networks: Networks,
        loss: Loss,
        factories: Mapping[Player, OptimizerFactory],
        latents: torch.Generator,
        precision: Precision,
        culprits: PluginNames,
        *,
        memory_format: torch.memory_format = torch.contiguous_format,
        update_scheme: UpdateScheme = "alternating",
        sizes: UpdateSizes = UpdateSizes(),
        clipping: Mapping[Player, Clipping] | None = None,
        penalties: Penalties | None = None,
        augmentations: Sequence[tuple[str, Augmentation]] = (),
        labels: tuple[LabelSampler, torch.Generator] | None = None,
        ema: EMA | None = None,
        schedules: ScheduledValues | None = None,
    ) -> None:
        """`culprits` names the plugin that is at fault where something raises; so do the names of `augmentations`.

        `labels` draws those of generated images, for conditional networks.
        """
        self.networks = networks
        self.called = networks  # as losses call them: `compile` puts compiled ones here
        self.loss = loss
        self.latents = latents
        self.precision = precision
        self.culprits = culprits
        self.memory_format = memory_format
        self.update_scheme = update_scheme
        self.sizes = sizes
        self.clipping = clipping or {}
        self.penalties = penalties or Penalties()
        self.penalty_values = torch.zeros(len(self.penalties.all), device=latents.device)  # the last of each
        self.augmentations = tuple(augmentations)
        self.labels = labels
        self.ema = ema
        self.schedules = schedules or ScheduledValues(latents.device)
        self.restore_count = 0  # how often the state was restored: what an engine holds of it is then out of date
        self.parameters = {player: list(networks[player].parameters()) for player in UPDATE_ORDER}
        self.trainable = {
            player: [parameter for parameter in networks[player].parameters() if parameter.requires_grad]
            for player in UPDATE_ORDER
        }
        own = {player: set(map(id, self.trainable[player])) for player in UPDATE_ORDER}
        self.frozen = {  # in each update: what only the other network has
            player: [parameter for parameter in self.trainable[other] if id(parameter) not in own[player]]
            for player, other in zip(UPDATE_ORDER, reversed(UPDATE_ORDER), strict=True)
        }
        if update_scheme == "simultaneous" and own["discriminator"] & own["generator"]:
            raise PluginError(
                f"{culprits.model}: its networks share parameters, which training.update_scheme=simultaneous does not "
                "support: the gradients of both networks would add up; use -o training.update_scheme=alternating"
            )
        if self.penalties.all and not self.trainable["discriminator"]:
            raise UsageError(
                f"{self.penalties.all[0].plugin}: the discriminator of {culprits.model} has no trainable parameters, "
                "so there is nothing to penalize; remove it from penalties"
            )
        # a network without parameters has no optimizer: it takes its turn and is not updated
        self.optimizers = {
            player: self._make_optimizer(player, factories[player]) for player in UPDATE_ORDER if self.trainable[player]
        }
        self.scheduled_options = {
            player: self.schedules.link(optimizer) for player, optimizer in self.optimizers.items()
        }
        self.python_state = PythonState(self)

    def _make_optimizer(self, player: Player, factory: OptimizerFactory) -> Optimizer:
        named = [(name, parameter) for name, parameter in self.networks[player].named_parameters()]
        optimizer: Any = factory([(name, parameter) for name, parameter in named if parameter.requires_grad])
        if not isinstance(optimizer, Optimizer):
            raise PluginError(
                f"{self.culprits.optimizers[player]}: for the {player}'s parameters it gave {described(optimizer)}; "
                "wanted: a torch.optim.Optimizer"
            )
        return configure_optimizer(optimizer, self.latents.device)

    @property
    def rngs(self) -> dict[str, torch.Generator]:
        """What the step draws from, besides torch's default generators."""
        return {"latents": self.latents} | ({"labels": self.labels[1]} if self.labels else {})

    def compile(self) -> None:
        """From the next step on, run both networks through torch.compile; shapes are taken as fixed."""
        # dynamo takes a parameter for unchanged while its module's dictionary is, and so would not notice the freezing
        torch._dynamo.config.skip_tensor_guards_with_matching_dict_tags = False
        torch._dynamo.config.use_recursive_dict_tags_for_guards = False
        generator, discriminator = (
            cast(nn.Module, torch.compile(module, dynamic=False))
            for module in (self.networks.generator, self.networks.discriminator)
        )
        self.called = Networks(generator, discriminator, self.networks.latent_dim, self.networks.conditional)

    def begin(self, at: Position, images: int) -> Variant:
        """Set what depends on the position of a step of so many real images; returns which penalties are due.

        It is the host's part of the step, and is not captured with the rest.
        """
        self.schedules.set(at)
        if self.ema is not None:
            self.ema.set(at, images)
        return self.penalties.due(at.steps)

    def __call__(
        self, real: Tensor, labels: Tensor, due: Variant, on_phase_end: Callable[[Player], None]
    ) -> StepOutput:
        """Take a step of the penalties that are due; `on_phase_end` is called after each network's updates.

        Simultaneous updates are both timed as the generator's.
        """
        real = real.contiguous(memory_format=self.memory_format)
        losses: dict[Player, list[Tensor]] = {player: [] for player in UPDATE_ORDER}
        monitors: dict[str, Tensor] = {}
        for player in UPDATE_ORDER:
            for batch in self._batches(player, real, labels):
                loss, reported = self._backpropagate(player, batch, due)
                if self.update_scheme == "alternating":
                    self._update(player)
                losses[player].append(loss)
                monitors.update(reported)
            if self.update_scheme == "simultaneous" and player == UPDATE_ORDER[-1]:
                for each in UPDATE_ORDER:
                    self._update(each)
            if self.ema is not None and player == "generator":
                self.ema.update()
            on_phase_end(player)
        return self._report(losses, monitors)

    def _batches(self, player: Player, real: Tensor, labels: Tensor) -> Iterator[Batch]:
        """The batches of a network's updates: all of a step's real images for the discriminator, in parts.

        The generator's real images are the last of them. Its latents and labels are drawn when its turn comes.
        """
        size = self.sizes.discriminator or len(real)
        if player == "generator":
            last = min(self.sizes.generator or size, len(real))
            yield self._draw(real[len(real) - last :], labels[len(real) - last :])
        else:
            for images, of_images in zip(real.split(size), labels.split(size), strict=True):
                yield self._draw(images, of_images)

    def _draw(self, real: Tensor, labels: Tensor) -> Batch:
        latent = torch.randn(len(real), self.networks.latent_dim, generator=self.latents, device=real.device)
        fake_labels = self.labels[0].draw(len(real), self.labels[1]) if self.labels else None
        return Batch(real, labels, latent, fake_labels)

    def _report(self, losses: Mapping[Player, Sequence[Tensor]], monitors: Mapping[str, Tensor]) -> StepOutput:
        means = [each[0] if len(each) == 1 else torch.stack(list(each)).mean() for each in losses.values()]
        try:
            values = torch.stack([value.float() for value in (*means, *monitors.values())])
        except Exception as error:
            named = {"d_loss": means[0], "g_loss": means[1], **monitors}
            cause = wrong_number(named) or describe(error)
            raise PluginError(f"{self.culprits.loss}: {cause}") from error
        if self.penalties.all:
            values = torch.cat([values, self.penalty_values])
        return StepOutput(("d_loss", "g_loss", *monitors, *(penalty.id for penalty in self.penalties.all)), values)

    def _backpropagate(self, player: Player, batch: Batch, due: Variant) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Compute the network's gradients; returns its loss, without penalties, and the monitors."""
        for parameter in self.frozen[player]:
            parameter.requires_grad_(False)
        for parameter in self.trainable[player]:
            parameter.requires_grad_(True)
        penalized = player == "discriminator" and any(due)
        if penalized:
            batch = Batch(batch.real.detach().requires_grad_(), batch.labels, batch.latent, batch.fake_labels)
        called = self.networks if penalized else self.called  # torch.compile cannot be differentiated twice
        players = UpdatePlayers(
            self.networks, called.generator, called.discriminator, self.augmentations, differentiable_images=penalized
        )
        objective = self.loss.discriminator_loss if player == "discriminator" else self.loss.generator_loss
        returned: Any = NOTHING
        try:
            with autocast(self.precision, batch.latent.device):
                returned = objective(players, batch)
            loss, monitors = returned
            monitors = {name: value.detach() for name, value in monitors.items()}
            if player in self.optimizers:
                if not loss.requires_grad and not wrong_return(returned):
                    raise PluginError(
                        f"{self.culprits.loss}: the loss for the {player} does not depend on the {player}'s "
                        "parameters: it was detached, made a new tensor, or computed without gradients"
                    )
                self.optimizers[player].zero_grad()
                if penalized:
                    (loss + self._penalize(players, batch, due)).backward(inputs=self.trainable[player])
                else:
                    loss.backward()
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            if returned is not NOTHING and (breach := wrong_return(returned)):
                raise PluginError(f"{self.culprits.loss}: {player}_loss returned {breach}") from error
            raise self.culprits.update_error(error, player, self.networks) from error
        if player == "discriminator":
            self._adapt(players, batch)
        return loss.detach(), monitors

    def _penalize(self, players: UpdatePlayers, batch: Batch, due: Variant) -> Tensor:
        """The weighted sum of the penalties that are due; their values are kept for the report."""
        total = torch.zeros((), device=batch.latent.device)
        for number, penalty in enumerate(self.penalties.all):
            if not due[number]:
                continue
            try:
                with autocast(self.precision, batch.latent.device):
                    value: Any = penalty.penalty(players, batch)
            except (Exception, SystemExit) as error:
                cause = f": {error}" if isinstance(error, PluginError) else f" raised {describe(error)}"
                raise PluginError(f"{penalty.plugin}{cause}") from error
            if not isinstance(value, Tensor) or value.dim() or not value.requires_grad:
                raise PluginError(
                    f"{penalty.plugin} returned {described(value)}; wanted: a differentiable tensor with one number"
                )
            self.penalty_values[number].copy_(value.detach())
            total = total + penalty.factor * value
        return total

    def _adapt(self, players: UpdatePlayers, batch: Batch) -> None:
        """Show adaptive augmentations the discriminator's logits on the real images."""
        for plugin, augmentation in self.augmentations:
            if not hasattr(augmentation, "adapt"):
                continue
            logits = players.logits_of(batch.real)
            if logits is None:
                raise PluginError(
                    f"{plugin} adapts to the discriminator's output on the real images, and {self.culprits.loss} never "
                    "calls players.discriminate(batch.real, ...) with that very tensor"
                )
            try:
                augmentation.adapt(logits.detach().float())
            except (Exception, SystemExit) as error:
                raise PluginError(f"{plugin} raised in adapt: {describe(error)}") from error

    def _update(self, player: Player) -> None:
        if player not in self.optimizers:
            return
        clipping = self.clipping.get(player, Clipping())
        if clipping.max_grad_norm is not None:
            clip_grad_norm_(self.trainable[player], clipping.max_grad_norm)
        try:
            self.optimizers[player].step()
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise self.culprits.optimizer_error(error, player) from error
        if clipping.max_weight is not None:
            with torch.no_grad():
                for parameter in self.trainable[player]:
                    parameter.clamp_(-clipping.max_weight, clipping.max_weight)

    def link_schedules(self) -> None:
        """Give optimizers their scheduled tensors again: torch's `load_state_dict` replaces them by copies."""
        for player, options in self.scheduled_options.items():
            for number, key, value in options:
                self.optimizers[player].param_groups[number][key] = value


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
