"""Penalties on the discriminator, and in which steps each is due."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import Penalty

Variant = tuple[bool, ...]  # which penalties a step computes, in the spec's order
MAX_PERIOD = 10_000  # steps that are looked at for how often each variant comes
MAX_VARIANTS = 8  # each is captured as a CUDA graph of its own, and measured in the warm-up


@dataclass(frozen=True)
class WeightedPenalty:
    """A penalty as the spec has it."""

    id: str
    plugin: str  # for errors
    penalty: Penalty
    weight: float | Tensor  # a tensor of shape () where it follows a schedule
    every: int = 1  # steps

    @property
    def factor(self) -> float | Tensor:
        """Of its value in the loss: computed in one of `every` steps, it counts so much more there."""
        return self.weight * self.every


class Penalties:
    """All penalties of a run."""

    def __init__(self, penalties: Sequence[WeightedPenalty] = ()) -> None:
        """Raises `UsageError` if their intervals give too many different steps."""
        self.all = tuple(penalties)
        if len(self.shares) > MAX_VARIANTS:
            intervals = ", ".join(f"{penalty.id}: {penalty.every}" for penalty in self.all)
            raise UsageError(
                f"penalties: the intervals ({intervals}) give {len(self.shares)} kinds of step, and at most "
                f"{MAX_VARIANTS} are supported; choose values of 'every' that divide one another"
            )

    def due(self, step: int) -> Variant:
        """Which penalties the step after `step` others computes."""
        return tuple(step % penalty.every == 0 for penalty in self.all)

    @cached_property
    def shares(self) -> dict[Variant, float]:
        """Every variant with its share of the steps, in the order in which they first come."""
        period = min(math.lcm(*(penalty.every for penalty in self.all)), MAX_PERIOD)
        counts = Counter(self.due(step) for step in range(period))
        return {variant: count / period for variant, count in counts.items()}

    def first_step(self, variant: Variant) -> int:
        """The first step of a variant."""
        return next(step for step in range(MAX_PERIOD) if self.due(step) == variant)
