"""Gathers what the steps of an epoch report, on the device, and reads it at the ends of windows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import DivergedError
from ganbench.results.schema import EpochRow

from .checkpoint import OpenEpoch
from .step import UPDATE_ORDER, StepOutput, TrainingStep

MAX_ABS_LOSS = 1e9  # beyond it neighbouring float32 numbers are 64 apart: such a loss tells nothing any more


class EpochLosses:
    """The losses of one epoch's steps and the monitors of its last one."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._names: tuple[str, ...] = ()
        self._unread: list[Tensor] = []
        self._d_losses: list[float] = []
        self._g_losses: list[float] = []
        self._monitors: dict[str, float] = {}

    @classmethod
    def reopened(cls, record: OpenEpoch) -> EpochLosses:
        """An epoch as it was when its `record` was taken."""
        losses = cls(record.epoch)
        losses._d_losses, losses._g_losses = list(record.d_losses), list(record.g_losses)
        losses._monitors = dict(record.monitors)
        return losses

    def record(self) -> OpenEpoch:
        """All that has been read."""
        return OpenEpoch(epoch=self.epoch, d_losses=self._d_losses, g_losses=self._g_losses, monitors=self._monitors)

    def add(self, output: StepOutput) -> None:
        """Keep what a step reports without reading it: no wait for the device."""
        self._names = output.names
        self._unread.append(output.values.clone())

    def read(self, steps_done: int) -> None:
        """Fetch what has gathered, `steps_done` being the number of the last step. Waits for the device.

        Raises `DivergedError` naming the first step and player whose loss is not finite, or beyond `MAX_ABS_LOSS`.
        """
        if not self._unread:
            return
        first_step = steps_done - len(self._unread) + 1
        d_losses, g_losses = torch.stack([values[:2] for values in self._unread], dim=1).tolist()
        self._monitors = dict(zip(self._names[2:], self._unread[-1][2:].tolist(), strict=True))
        self._unread.clear()
        self._d_losses += d_losses
        self._g_losses += g_losses
        for step, pair in enumerate(zip(d_losses, g_losses, strict=True), start=first_step):
            for player, loss in zip(UPDATE_ORDER, pair, strict=True):
                if not abs(loss) <= MAX_ABS_LOSS:
                    raise DivergedError(f"the {player}'s loss is {loss:g} at step {step} (epoch {self.epoch})")

    @property
    def steps(self) -> int:
        """How many steps have been read."""
        return len(self._d_losses)

    def last(self) -> dict[str, float]:
        """The losses of the last step that was read, and its monitors."""
        return {"d_loss": self._d_losses[-1], "g_loss": self._g_losses[-1], **self._monitors}

    def row(self, images: int, seconds: float) -> EpochRow:
        """The epoch's row of the history, with the images and seconds of its windows."""
        return EpochRow(
            epoch=self.epoch,
            d_loss=_mean(self._d_losses),
            g_loss=_mean(self._g_losses),
            **{name: value if math.isfinite(value) else None for name, value in self._monitors.items()},
            images=images,
            seconds=seconds,
            images_per_second=images / seconds,
        )


def require_finite_weights(step: TrainingStep, when: str) -> None:
    """Raise `DivergedError` naming the first parameter that has NaN or infinite numbers, as after a last bad update."""
    for player in UPDATE_ORDER:
        for name, parameter in step.networks[player].named_parameters():
            if not parameter.isfinite().all():
                raise DivergedError(f"the {player}'s parameter {name} has NaN or infinite numbers {when}")


def _mean(values: list[float]) -> float | None:
    mean = math.fsum(values) / len(values)
    return mean if math.isfinite(mean) else None
