"""The length of a run, and the steps after which its events are due."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from .benchmark import BenchmarkSpec
from .sections import TrainingOptions


@dataclass(frozen=True)
class Length:
    """The length of a run."""

    steps: int
    steps_per_epoch: int
    images_per_step: int
    images_per_epoch: int

    @classmethod
    def of(cls, training: TrainingOptions, train_images: int) -> Length:
        """Return the length of training on a dataset of `train_images` images."""
        return cls(
            training.total_steps(train_images),
            training.steps_per_epoch(train_images),
            training.images_per_step,
            training.images_per_epoch(train_images),
        )

    @property
    def images(self) -> int:
        """Real images shown to the discriminator in the whole run."""
        return self.images_after(self.steps)

    def images_after(self, steps: int) -> int:
        epochs, rest = divmod(steps, self.steps_per_epoch)
        return epochs * self.images_per_epoch + rest * self.images_per_step

    def steps_for(self, images: Fraction) -> int:
        """Return the first step by whose end `images` images have been shown."""
        epochs, rest = divmod(images, self.images_per_epoch)
        return int(epochs) * self.steps_per_epoch + min(self.steps_per_epoch, math.ceil(rest / self.images_per_step))

    def event_steps(
        self, at_epochs: Iterable[int] = (), at_kimg: Iterable[float] = (), every_kimg: float | None = None
    ) -> frozenset[int]:
        """Return the numbers of the steps after which an event is due, up to the end of the run."""
        steps = {epoch * self.steps_per_epoch for epoch in at_epochs}
        steps |= {self.steps_for(kimg_to_images(kimg)) for kimg in at_kimg}
        if every_kimg is not None:
            steps |= set(self._steps_every(kimg_to_images(every_kimg)))
        return frozenset(step for step in steps if step <= self.steps)

    def _steps_every(self, interval: Fraction) -> Iterator[int]:
        """Yield the steps within which a multiple of `interval` images is reached, each once even if several are."""
        step = self.steps_for(interval)
        while step <= self.steps:
            yield step
            step = self.steps_for((self.images_after(step) // interval + 1) * interval)


def kimg_to_images(kimg: float) -> Fraction:
    """Return the exact number: 1000 * 16.1 is more than 16,100 as a float, which could delay an event by a step."""
    return 1000 * Fraction(str(kimg))


class Events:
    """The steps after which a run scores, saves sample images or saves a checkpoint; its end is handled separately."""

    def __init__(self, spec: BenchmarkSpec, length: Length) -> None:
        images, checkpoint = spec.sample_images, spec.checkpoint
        self._length = length
        self._scores = {
            str(metric.id): length.event_steps(metric.at_epochs, metric.at_kimg, metric.every_kimg)
            for metric in spec.metrics
        }
        self._sample_images = length.event_steps(images.at_epochs, images.at_kimg, images.every_kimg)
        every = checkpoint.every_epochs
        epochs = range(every, length.steps // length.steps_per_epoch + 1, every) if every else ()
        self._checkpoints = length.event_steps(epochs, every_kimg=checkpoint.every_kimg)
        self._sorted_scores = sorted(frozenset().union(*self._scores.values()))
        self._sorted_sample_images = sorted(self._sample_images)
        self._sorted_checkpoints = sorted(self._checkpoints)
        self._all = sorted({*self._sorted_scores, *self._sorted_sample_images, *self._sorted_checkpoints})

    def scores(self, step: int) -> list[str]:
        """Return the ids of the metrics that are due after a step."""
        return [name for name, steps in self._scores.items() if step in steps]

    def scored_before_the_end(self, name: str) -> bool:
        """Return whether the metric of this id is due before the last step; a score before training counts."""
        return any(step < self._length.steps for step in self._scores[name])

    def sample_images(self, step: int) -> bool:
        return step in self._sample_images

    def checkpoint(self, step: int) -> bool:
        return step in self._checkpoints

    def steps_to_next(self, step: int) -> int:
        """Return the number of steps to the next event, the end of the epoch, or the end of the run."""
        epoch_end = (step // self._length.steps_per_epoch + 1) * self._length.steps_per_epoch
        return min(epoch_end, self._next(self._all, step)) - step

    def next_scores(self, step: int) -> tuple[int, list[str]]:
        """Return the next step after `step` that is followed by scores, and the ids of the metrics.

        The last step is followed by all scores.
        """
        due = self._next(self._sorted_scores, step)
        return due, list(self._scores) if due == self._length.steps else self.scores(due)

    def next_sample_images(self, step: int) -> int:
        return self._next(self._sorted_sample_images, step)

    def next_checkpoint(self, step: int) -> int:
        """Return the next step that is followed by a checkpoint, without those at intervals in minutes."""
        return self._next(self._sorted_checkpoints, step)

    def _next(self, steps: list[int], step: int) -> int:
        """Return the first of the sorted `steps` that is after `step`, or the last step of the run."""
        position = bisect_right(steps, step)
        return min(steps[position], self._length.steps) if position < len(steps) else self._length.steps
