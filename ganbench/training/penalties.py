"""Penalties: the weighted sum of those of a network, and the steps in which each is computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ganbench.data.contract import described
from ganbench.errors import PluginError, UsageError, describe
from ganbench.plugin.interfaces import Batch, Penalty, Player
from ganbench.runtime.precision import Precision, autocast

from .players import UpdatePlayers
from .position import Position

Variant = tuple[bool, ...]  # which penalties a step computes, in the spec's order
MAX_PERIOD = 10_000  # steps used to count how often each variant occurs
ONCE_DIFFERENTIABLE = "torch::autograd::Error"  # the name of a node that stands for missing derivatives
MAX_VARIANTS = 8  # each is measured in the warm-up and captured as its own CUDA graph


@dataclass(frozen=True)
class WeightedPenalty:
    """A penalty with its weight and interval from the spec."""

    id: str
    plugin: str  # for errors
    penalty: Penalty
    weight: float | Tensor  # a tensor of shape () if it follows a schedule
    every: int = 1  # steps
    player: Player = "discriminator"  # the network to whose loss it is added

    @property
    def factor(self) -> float | Tensor:
        """The factor of the value in the loss: `weight * every`, as it is computed in one of `every` steps only."""
        return self.weight * self.every


class Penalties:
    """All penalties of a run."""

    def __init__(self, penalties: Sequence[WeightedPenalty] = ()) -> None:
        """Raises `UsageError` if the intervals result in too many different steps."""
        self.all = tuple(penalties)
        self._differentiated: set[int] = set()  # numbers of the penalties whose gradient was checked
        self.on_other_images: set[str] = set()  # plugins that generated images, though the loss used only others
        if len(self.shares) > MAX_VARIANTS:
            intervals = ", ".join(f"{penalty.id}: {penalty.every}" for penalty in self.all)
            raise UsageError(
                f"penalties: the intervals ({intervals}) result in {len(self.shares)} different steps, and at most "
                f"{MAX_VARIANTS} are supported; choose values of 'every' that divide one another"
            )

    @property
    def ids(self) -> list[str]:
        """The names of the penalties' columns in the history."""
        return [penalty.id for penalty in self.all]

    def plugins(self, due: Variant) -> list[str]:
        """Return the plugins of the penalties that are due, for errors."""
        return [penalty.plugin for penalty, is_due in zip(self.all, due, strict=True) if is_due]

    def due(self, step: int) -> Variant:
        """Return which penalties are computed in the step with this index, counted from 0."""
        return tuple(step % penalty.every == 0 for penalty in self.all)

    def of(self, player: Player, due: Variant) -> Variant:
        """Return which of the penalties that are due belong to the loss of this network."""
        return tuple(each.player == player and is_due for each, is_due in zip(self.all, due, strict=True))

    @cached_property
    def period(self) -> int:
        """The number of steps after which the same penalties are due again, at most `MAX_PERIOD`."""
        return min(math.lcm(*(penalty.every for penalty in self.all)), MAX_PERIOD)

    @cached_property
    def shares(self) -> dict[Variant, float]:
        """All variants with their share of the steps, in order of first occurrence."""
        counts = Counter(self.due(step) for step in range(self.period))
        return {variant: count / self.period for variant, count in counts.items()}

    @cached_property
    def first_positions(self) -> dict[Position, float]:
        """The first step of each variant, before any image, with the variant's share of the steps."""
        return {Position(self.first_step(variant), 0): share for variant, share in self.shares.items()}

    def first_step(self, variant: Variant) -> int:
        """Return the index of the first step of a variant."""
        return next(step for step in range(MAX_PERIOD) if self.due(step) == variant)

    def total(self, players: UpdatePlayers, batch: Batch, due: Variant, values: Tensor, precision: Precision) -> Tensor:
        """Return the weighted sum of the penalties that are due, and store each one's value in `values`.

        Raises `PluginError` for a penalty that raises, or that returns anything but a differentiable scalar.
        """
        total = torch.zeros((), device=batch.latent.device)
        for number, penalty in enumerate(self.all):
            if not due[number]:
                continue
            loss_used_others = players.has_generated_others(batch)
            try:
                with autocast(precision, batch.latent.device):
                    value: Any = penalty.penalty(players, batch)
            except (Exception, SystemExit) as error:
                cause = f": {error}" if isinstance(error, PluginError) else f" raised {describe(error)}"
                raise PluginError(f"{penalty.plugin}{cause}") from error
            if not isinstance(value, Tensor) or value.dim() or not value.requires_grad:
                raise PluginError(
                    f"{penalty.plugin} returned {described(value)}; expected a differentiable scalar tensor"
                )
            if number not in self._differentiated:
                require_second_derivatives(value, penalty.plugin)
                self._differentiated.add(number)
            if loss_used_others and players.has_generated(batch):
                self.on_other_images.add(penalty.plugin)
            values[number].copy_(value.detach())
            total = total + penalty.factor * value
        return total


def require_second_derivatives(value: Tensor, plugin: str) -> None:
    """Raise `PluginError` if the gradient of a penalty ends at an operation whose backward is `once_differentiable`.

    Torch raises an error only if it differentiates such an operation, but it skips what leads to no parameter, so the
    penalty would have no effect.
    """
    nodes, seen = [value.grad_fn], set[Any]()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() == ONCE_DIFFERENTIABLE:
            raise PluginError(
                f"{plugin} differentiates a network or an augmentation twice, but the backward of an operation is "
                "marked with once_differentiable, so the penalty would have no effect; use another one"
            )
        nodes += [following for following, _ in node.next_functions]
