"""The gate's windows, each joined from windows of a run, so that all contain the same work.

`main.py` loads this file by its path.
"""

from __future__ import annotations

MIN_FRACTION = 0.75  # of the requested length: windows vary a little, and the end of an epoch cuts one short
LONGEST_PERIOD = 64  # steps; a penalty that is rarer takes too little of the time to matter
MANY_PERIODS = 16  # in a window of so many, a part of another one does not matter


class Windows:
    """Joins windows of a run until they are long enough.

    A window has whole periods of lazy penalties, or many: the median window could miss their cost otherwise. Windows of
    the run end together with periods if they can; not if an epoch fits into one, or in an earlier ganbench.

    While the run is paused, its data workers prefetch batches, which the next window would get for free, so the steps
    that use them up are in no window. Their number is assigned to `prefetched` once the run has such workers.
    """

    def __init__(self, seconds: float, period: int = 1) -> None:
        """`period` is a number of steps."""
        self.seconds = seconds
        self.period = period
        self.prefetched = 0  # steps, for a pause
        self.complete: list[slice] = []  # of the run's windows
        self._number = 0  # of the run's windows so far
        self._earliest = 0  # the step after which the next window may begin
        self._begin(0)

    def add(self, step: int, images: float, seconds: float) -> float | None:
        """Add a window of the run that ended after `step`; return images/s if it completes one, else None."""
        self._number += 1
        if not self._may_begin():
            self._begin(step)
            return None
        self._images += images
        self._seconds += seconds
        if self._seconds < MIN_FRACTION * self.seconds or not self._has_whole_periods(step):
            return None
        rate = self._images / self._seconds
        self.complete.append(slice(self._first, self._number))
        self._begin(step)
        self._earliest = step + self.prefetched
        return rate

    def _begin(self, step: int) -> None:
        self._first, self._first_step = self._number, step
        self._images = self._seconds = 0.0

    def _may_begin(self) -> bool:
        wait = 0 if self.period > LONGEST_PERIOD or self._first_step % self.period == 0 else self.period
        return self._first_step >= self._earliest + wait

    def _has_whole_periods(self, step: int) -> bool:
        steps = step - self._first_step
        if self.period > LONGEST_PERIOD:
            return steps >= LONGEST_PERIOD
        return steps % self.period == 0 or steps >= MANY_PERIODS * self.period
