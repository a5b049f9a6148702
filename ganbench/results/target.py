"""What a result says about a target: the training before the first score that reached it.

The schedule of scores is the resolution: the target was reached somewhere between two scores. Both are stored, and
nothing is interpolated.
"""

from __future__ import annotations

from pydantic import Field

from .record import Record


class Evaluation(Record):
    """A score, and the training until then."""

    images: int = Field(description="real images shown to the discriminator until then")
    seconds: float = Field(
        description="seconds of the training windows until then, over all processes of the run; without warm-up, "
        "scores, sample images and files"
    )
    joules: float | None = Field(
        description="joules used by the whole board in these windows; null if the GPU does not report them for every "
        "window, on a CPU, and for several devices"
    )
    value: float | None = Field(description="the score; null if not finite")


class TargetResult(Record):
    """A target, and between which two scores it was reached."""

    metric: str = Field(description="`id` of the score in `metrics`")
    label: str = Field(description="title of the score in tables")
    value: float = Field(description="the score to be reached: an equal or better one does")
    higher_is_better: bool = Field(description="whether higher scores are better")
    stop: bool = Field(description="whether training was to end there")
    missed: Evaluation | None = Field(
        description="the last score before `reached`, or of the run; null if the first one reached the target"
    )
    reached: Evaluation | None = Field(description="the first score that reached the target; null if none did")

    def __str__(self) -> str:
        return target_title(self.label, self.value, self.higher_is_better)


def target_title(label: str, value: float, higher_is_better: bool) -> str:
    """Return "FID (inception-v3) at most 20"."""
    return f"{label} {'at least' if higher_is_better else 'at most'} {value:.10g}"
