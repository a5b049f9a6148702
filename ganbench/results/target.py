"""What a result says about a target: the training before the first score that reached it.

The schedule of scores is the resolution: the target was reached somewhere between two scores. Both are stored, and
nothing is interpolated.
"""

from __future__ import annotations

from .record import Record


class Evaluation(Record):
    """A score, and the training until then."""

    images: int  # real images shown to the discriminator
    seconds: float  # within training windows, over all processes of the run; scoring and pictures are excluded
    joules: float | None  # of the whole board within these windows; None if the GPU does not report it, or on a CPU
    value: float | None  # the score; None if not finite


class TargetResult(Record):
    """A target, and between which two scores it was reached."""

    metric: str  # id of the score
    label: str  # title of the score in tables
    value: float
    higher_is_better: bool
    stop: bool  # whether training was to end there
    missed: Evaluation | None  # the last score before `reached`, or of the run; None if the first one reached it
    reached: Evaluation | None  # the first score that reached the target; None if none did

    def __str__(self) -> str:
        return target_title(self.label, self.value, self.higher_is_better)


def target_title(label: str, value: float, higher_is_better: bool) -> str:
    """Return "FID (inception-v3) at most 20"."""
    return f"{label} {'at least' if higher_is_better else 'at most'} {value:.10g}"
