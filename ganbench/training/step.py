"""The training step: discriminator updates and one generator update, each with the other network frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganbench.data.labels import LabelSampler
from ganbench.errors import GanbenchError, PluginError, UsageError
from ganbench.plugin.interfaces import PLAYERS, Batch, Loss, Networks, OptimizerFactory, Player
from ganbench.runtime.attribution import PluginNames
from ganbench.runtime.dropout import fast_dropout
from ganbench.runtime.precision import Precision, autocast
from ganbench.runtime.ranks import SINGLE, Ranks
from ganbench.spec.sections import UpdateScheme

from .ema import EMA
from .loss_contract import invalid_return, objective
from .optimizers import Clipping, build_optimizer
from .penalties import Penalties, Variant
from .players import NamedAugmentation, UpdatePlayers, unchanged
from .position import Position
from .schedules import ScheduledValues
from .state.python_state import PythonState, plugin_optimizers
from .step_output import StepOutput, join_values

NOT_RETURNED = object()


@dataclass(frozen=True)
class UpdateSizes:
    """How many of a step's real images each update uses."""

    discriminator: int | None = None  # per discriminator update; None: all images of the step
    generator: int | None = None  # per generator update; None: as many as for the discriminator


@dataclass(frozen=True)
class FakeLabels:
    """Draws the labels of generated images, for conditional networks."""

    sampler: LabelSampler
    rng: torch.Generator

    def draw(self, count: int) -> Tensor:
        return self.sampler.draw(count, self.rng)


class TrainingStep:
    """Trains both networks on the real images of one step.

    In each update, only the parameters of the updated network require gradients. So the discriminator update does not
    backpropagate through the generator, and the generator update computes no weight gradients of the discriminator:
    the same result as the textbook loop with 1/1.39 of its operations (for the DCGAN at 28x28). Parameters shared by
    both networks are trained in both updates.
    """

    def __init__(
        self,
        networks: Networks,
        loss: Loss,
        factories: Mapping[Player, OptimizerFactory],
        latents: torch.Generator,
        precision: Precision,
        plugin_names: PluginNames,
        *,
        memory_format: torch.memory_format = torch.contiguous_format,
        update_scheme: UpdateScheme = "alternating",
        sizes: UpdateSizes = UpdateSizes(),
        clipping: Mapping[Player, Clipping] | None = None,
        penalties: Penalties | None = None,
        augmentations: Sequence[NamedAugmentation] = (),
        labels: FakeLabels | None = None,
        ema: EMA | None = None,
        schedules: ScheduledValues | None = None,
        fast_dropout: bool = False,
        ranks: Ranks = SINGLE,
    ) -> None:
        """`plugin_names` are for errors, `labels` for conditional networks, and `sizes` those of this rank."""
        self.networks = networks
        self.called = networks  # the networks that losses call: compiled ones after `compile`
        self.loss = loss
        self.latents = latents
        self.precision = precision
        self.plugin_names = plugin_names
        self.memory_format = memory_format
        self.update_scheme = update_scheme
        self.sizes = sizes
        self.clipping = clipping or {}
        self.penalties = penalties or Penalties()
        self.penalty_values = torch.zeros(len(self.penalties.all), device=latents.device)  # the last value of each
        self.augmentations = tuple(augmentations)
        self.labels = labels
        self.ema = ema
        self.fast_dropout = fast_dropout
        self.ranks = ranks
        self.schedules = schedules or ScheduledValues(latents.device)
        self.restore_count = 0  # engines discard what they captured of an earlier state
        self.parameters = {player: list(networks[player].parameters()) for player in PLAYERS}
        self.trainable = {
            player: [parameter for parameter in networks[player].parameters() if parameter.requires_grad]
            for player in PLAYERS
        }
        own = {player: set(map(id, self.trainable[player])) for player in PLAYERS}
        self.frozen = {  # in each update: the parameters of the other network alone
            player: [parameter for parameter in self.trainable[other] if id(parameter) not in own[player]]
            for player, other in zip(PLAYERS, reversed(PLAYERS), strict=True)
        }
        if update_scheme == "simultaneous" and own["discriminator"] & own["generator"]:
            raise PluginError(
                f"{plugin_names.model}: its networks share parameters, which training.update_scheme=simultaneous does "
                "not support: the gradients of both networks would add up; use -o training.update_scheme=alternating"
            )
        for penalty in self.penalties.all:
            if not self.trainable[penalty.player]:
                raise UsageError(
                    f"{penalty.plugin}: the {penalty.player} of {plugin_names.model} has no trainable parameters, so "
                    "there is nothing to penalize; remove it from penalties"
                )
        # a network without trainable parameters has no optimizer; its loss is still computed
        self.optimizers = {
            player: build_optimizer(
                networks, player, factories[player], latents.device, plugin_names.optimizers[player]
            )
            for player in PLAYERS
            if self.trainable[player]
        }
        self.keeping_gradients: set[Player] = set()  # whose optimizer's zero_grad has left gradients
        self.python_state = PythonState(self)

    @cached_property
    def trained_by_plugins(self) -> list[Tensor]:
        """The parameters that optimizers of plugins have, such as those of a loss's own network."""
        networks = {id(parameter) for player in PLAYERS for parameter in self.parameters[player]}
        groups = [group for optimizer in plugin_optimizers(self).values() for group in optimizer.param_groups]
        parameters = {id(parameter): parameter for group in groups for parameter in group["params"]}
        return [parameter for key, parameter in parameters.items() if key not in networks]

    @property
    def rngs(self) -> dict[str, torch.Generator]:
        """The random number generators of the step, besides the default ones."""
        return {"latents": self.latents} | ({"labels": self.labels.rng} if self.labels else {})

    def compile(self) -> None:
        """Compile both networks with torch.compile for fixed shapes, starting with the next step."""
        torch._dynamo.reset()  # it compiles a function at most eight times per process
        # by default, dynamo's guards do not detect a change of requires_grad, and so would not notice the freezing
        torch._dynamo.config.skip_tensor_guards_with_matching_dict_tags = False
        torch._dynamo.config.use_recursive_dict_tags_for_guards = False
        generator, discriminator = (
            cast(nn.Module, torch.compile(module, dynamic=False))
            for module in (self.networks.generator, self.networks.discriminator)
        )
        self.called = Networks(generator, discriminator, self.networks.latent_dim, self.networks.conditional)

    def begin(self, at: Position, images: int) -> Variant:
        """Set everything that depends on the position of the next step, and return which penalties are due.

        `images` is the number of real images of the step on this rank. This part runs on the host and is not captured.
        """
        self.schedules.set(at)
        if self.ema is not None:
            # of the weights after each update: a step that only extrapolates is no iterate (Gidel et al. 2019,
            # arXiv:1802.10551, average the updated weights)
            period = getattr(self.optimizers.get("generator"), "steps_per_update", 1)
            self.ema.set(at, images * self.ranks.size * period if (at.steps + 1) % period == 0 else 0)
        return self.penalties.due(at.steps)

    def __call__(
        self, real: Tensor, labels: Tensor, due: Variant, on_phase_end: Callable[[Player], None]
    ) -> StepOutput:
        """Take a step with the penalties in `due`; `on_phase_end` is called after each network's updates.

        The time of simultaneous updates counts as the generator's.
        """
        real = real.contiguous(memory_format=self.memory_format)
        losses: dict[Player, list[Tensor]] = {player: [] for player in PLAYERS}
        monitors: dict[Player, Mapping[str, Tensor]] = {}  # of each network's last update
        for player in PLAYERS:
            for batch in self._batches(player, real, labels):
                with fast_dropout() if self.fast_dropout else nullcontext():
                    loss, reported = self._backpropagate(player, batch, due)
                if self.update_scheme == "alternating":
                    self._update(player)
                losses[player].append(loss)
                monitors[player] = reported
            if self.update_scheme == "simultaneous" and player == PLAYERS[-1]:
                for each in PLAYERS:
                    self._update(each)
            if self.ema is not None and player == "generator":
                self.ema.update()
            on_phase_end(player)
        return join_values(losses, monitors, self.penalties.ids, self.penalty_values, self.plugin_names.loss)

    def _batches(self, player: Player, real: Tensor, labels: Tensor) -> Iterator[Batch]:
        """Yield the batches of a network's updates, with new latent vectors and labels for each.

        The discriminator's updates split the real images of the step; the generator's update has the last of them.
        """
        size = self.sizes.discriminator or len(real)
        if player == "generator":
            last = min(self.sizes.generator or size, len(real))
            yield self._draw(real[len(real) - last :], labels[len(real) - last :])
        else:
            for images, of_images in zip(real.split(size), labels.split(size), strict=True):
                yield self._draw(images, of_images)

    def _draw(self, real: Tensor, labels: Tensor) -> Batch:
        count = len(real) * self.ranks.size  # all ranks draw the same, so that their number does not change the images
        latent = torch.randn(count, self.networks.latent_dim, generator=self.latents, device=real.device)
        return Batch(real, labels, self._share(latent), self._fake_labels(labels, count))

    def _share(self, rows: Tensor) -> Tensor:
        """Return this rank's rows of an update, split like the real images of the step: see `RankShare`."""
        size = self.sizes.discriminator
        return self.ranks.share(rows, None if size is None else size * self.ranks.size)

    def _fake_labels(self, labels: Tensor, count: int) -> Tensor | None:
        """Return the labels of the generated images, for `count` images over all ranks; None if unconditional."""
        if self.labels is None:
            return None
        if getattr(self.loss, "pairs_images", False):
            return labels
        return self._share(self.labels.draw(count))

    def _backpropagate(self, player: Player, batch: Batch, due: Variant) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Compute the network's gradients, and return its loss without penalties and the monitors."""
        for parameter in self.frozen[player]:
            parameter.requires_grad_(False)
        for parameter in self.trainable[player]:
            parameter.requires_grad_(True)
        due = self.penalties.of(player, due)
        penalized = any(due)
        with_image_gradients = penalized and player == "discriminator"
        if with_image_gradients:
            batch = Batch(batch.real.detach().requires_grad_(), batch.labels, batch.latent, batch.fake_labels)
        called = self.networks if penalized else self.called  # torch.compile does not support double backward
        players = UpdatePlayers(
            self.networks,
            called.generator,
            called.discriminator,
            self.augmentations,
            differentiable_images=with_image_gradients,
            detached_images=player == "discriminator",
            model=self.plugin_names.model,
        )
        self._zero_gradients(player)
        returned: Any = NOT_RETURNED
        try:
            with (
                autocast(self.precision, batch.latent.device),
                unchanged(batch.real, self.plugin_names.loss),
                players.requiring_augmented(batch, player, self.plugin_names.loss),
            ):
                returned = objective(self.loss, player)(players, batch)
            loss, monitors = returned
            monitors = {name: value.detach() for name, value in monitors.items()}
            if player in self.optimizers:
                if not loss.requires_grad and not invalid_return(returned):
                    raise PluginError(
                        f"{self.plugin_names.loss}: the loss for the {player} does not depend on the {player}'s "
                        "parameters: it was detached, created as a new tensor, or computed without gradients"
                    )
                if penalized:
                    penalty = self.penalties.total(players, batch, due, self.penalty_values, self.precision)
                    plugins = [parameter for parameter in self.trained_by_plugins if parameter.requires_grad]
                    # without the images, which require a gradient only for the penalties
                    (loss + penalty).backward(inputs=[*self.trainable[player], *plugins])
                else:
                    loss.backward()
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            if returned is NOT_RETURNED:
                raise self.plugin_names.update_error(error, player, self.networks, players.unlike_logits()) from error
            if breach := invalid_return(returned):
                raise PluginError(f"{self.plugin_names.loss}: {player}_loss returned {breach}") from error
            penalties = self.penalties.plugins(due) if penalized else []
            raise self.plugin_names.gradient_error(error, player, self.networks, penalties) from error
        if player == "discriminator":
            players.adapt_augmentations(batch, self.plugin_names.loss, self.ranks)
        return loss.detach(), monitors

    def _zero_gradients(self, player: Player) -> None:
        """Do so before the loss, which may itself call `backward` for parts of the batch."""
        if player not in self.optimizers:
            return
        try:
            self.optimizers[player].zero_grad()
        except (Exception, SystemExit) as error:
            raise self.plugin_names.optimizer_error(error, player, "zero_grad") from error
        if any(parameter.grad is not None for parameter in self.trainable[player]):
            self.keeping_gradients.add(player)

    def _update(self, player: Player) -> None:
        if player not in self.optimizers:
            return
        self._average_over_ranks(player)
        clipping = self.clipping.get(player, Clipping())
        clipping.clip_gradients(self.trainable[player])
        try:
            self.optimizers[player].step()
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise self.plugin_names.optimizer_error(error, player) from error
        clipping.clip_weights(self.trainable[player])

    def _average_over_ranks(self, player: Player) -> None:
        """Average the network's gradients over the ranks, and both networks' buffers, such as running statistics."""
        if self.ranks.alone:
            return
        buffers = [buffer for each in PLAYERS for buffer in self.networks[each].buffers()]
        self.ranks.average_gradients(
            self.trainable[player], also=[buffer for buffer in buffers if buffer.is_floating_point()]
        )

    @contextmanager
    def without_ranks(self) -> Iterator[None]:
        """Take steps of this rank alone within the block, which does not wait for others."""
        ranks, self.ranks = self.ranks, SINGLE
        try:
            yield
        finally:
            self.ranks = ranks
