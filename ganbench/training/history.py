"""Losses and monitors of an epoch: collected on the device, and read at the ends of windows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import DivergedError
from ganbench.plugin.interfaces import PLAYERS
from ganbench.results.progress import OpenEpoch
from ganbench.results.schema import EpochRow
from ganbench.runtime.ranks import SINGLE, Ranks

from .step import TrainingStep
from .step_output import StepOutput

MAX_ABS_LOSS = 1e9  # beyond it, neighboring float32 numbers are at least 64 apart: such a loss is meaningless


class EpochLosses:
    """The losses of one epoch's steps and the monitors of its last one."""

    def __init__(self, epoch: int, ranks: Ranks = SINGLE) -> None:
        self.epoch = epoch
        self._ranks = ranks
        self._names: tuple[str, ...] = ()
        self._unread: list[Tensor] = []
        self._d_losses: list[float] = []
        self._g_losses: list[float] = []
        self._monitors: dict[str, float] = {}

    @classmethod
    def from_record(cls, record: OpenEpoch, ranks: Ranks) -> EpochLosses:
        """Return an epoch as it was when its `record` was made."""
        losses = cls(record.epoch, ranks)
        losses._d_losses, losses._g_losses = list(record.d_losses), list(record.g_losses)
        losses._monitors = {name: math.nan if value is None else value for name, value in record.monitors.items()}
        return losses

    def record(self) -> OpenEpoch:
        """Return all values read so far."""
        return OpenEpoch(
            epoch=self.epoch, d_losses=self._d_losses, g_losses=self._g_losses, monitors=self._finite_monitors()
        )

    def add(self, output: StepOutput) -> None:
        """Keep the values of a step without reading them, which would wait for the device."""
        self._names = output.names
        self._unread.append(output.values.clone())

    def read(self, steps_done: int) -> None:
        """Read the values kept since the last call; waits for the device. `steps_done` is the number of the last step.

        Values are means over the ranks.

        Raises `DivergedError` naming the first step and network whose loss is not finite or exceeds `MAX_ABS_LOSS`.
        """
        if not self._unread:
            return
        first_step = steps_done - len(self._unread) + 1
        self._ranks.average(self._unread)
        d_losses, g_losses = torch.stack([values[:2] for values in self._unread], dim=1).tolist()
        self._monitors = dict(zip(self._names[2:], self._unread[-1][2:].tolist(), strict=True))
        self._unread.clear()
        self._d_losses += d_losses
        self._g_losses += g_losses
        for step, pair in enumerate(zip(d_losses, g_losses, strict=True), start=first_step):
            for player, loss in zip(PLAYERS, pair, strict=True):
                if not abs(loss) <= MAX_ABS_LOSS:
                    limit = f", beyond the limit of {MAX_ABS_LOSS:g}" if math.isfinite(loss) else ""
                    raise DivergedError(f"the {player}'s loss is {loss:g} at step {step} (epoch {self.epoch}){limit}")

    @property
    def steps(self) -> int:
        """The number of steps read so far."""
        return len(self._d_losses)

    def last(self) -> dict[str, float]:
        """Return the losses and monitors of the last step that was read."""
        return {"d_loss": self._d_losses[-1], "g_loss": self._g_losses[-1], **self._monitors}

    def row(self, images: int, seconds: float) -> EpochRow:
        """Return the epoch's row of the history, with the images and seconds of its windows."""
        return EpochRow(
            epoch=self.epoch,
            d_loss=_mean(self._d_losses),
            g_loss=_mean(self._g_losses),
            **self._finite_monitors(),
            images=images,
            seconds=seconds,
            images_per_second=images / seconds,
        )

    def _finite_monitors(self) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in self._monitors.items()}


def require_finite_weights(step: TrainingStep, when: str) -> None:
    """Raise `DivergedError` naming the first parameter with NaN or infinite values, as after a bad last update."""
    for player in PLAYERS:
        for name, parameter in step.networks[player].named_parameters():
            if not parameter.isfinite().all():
                raise DivergedError(f"the {player}'s parameter {name} has NaN or infinite values {when}")


def _mean(values: list[float]) -> float | None:
    mean = math.fsum(values) / len(values)
    return mean if math.isfinite(mean) else None
