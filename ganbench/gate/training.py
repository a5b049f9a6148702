"""Whole trainings, each in a fresh process, whose losses and scores are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from ganbench.differences import differing
from ganbench.errors import NotComparableError
from ganbench.result import Environment, PluginRecord, Record

from .arm import Arm, Code, Measurement, SessionError

SOFTWARE = ("torch", "implementation")  # fields of a stamp that tell versions alone


class Score(Record):
    """A metric at the end of a training."""

    name: str
    label: str
    value: float | None  # None where it is not finite, or training did not get there
    better: Literal["lower", "higher"]
    stamp: dict[str, Any]


class Training(Record):
    """What one training came to."""

    status: Literal["completed", "diverged"]
    message: str | None
    losses: dict[str, float | None]  # a row of the history: the last epoch's
    metrics: list[Score]
    environment: Environment
    data: str  # its fingerprint
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    code: dict[str, Code]  # that ran: ganbench and the plugins in use


@dataclass(frozen=True)
class Trainings:
    """Trainings of both sides."""

    base: list[Training]
    head: list[Training]


def train(arm: Arm, measurement: Measurement, length_and_seed: Mapping[str, Any]) -> Training:
    """Train to the end. Raises `SessionError` if that crashes or fails; to diverge is a way to end.

    `length_and_seed` replaces what the spec's `training` has of these fields.
    """
    with arm.start("train", measurement, length_and_seed) as worker:
        told = worker.last_answer()
    try:
        training = Training.model_validate(told)
    except ValidationError as error:
        raise SessionError(f"a training of {arm.name} told what cannot be read: {error}") from None
    arm.need_own(training.code)
    return training


def need_same_protocol(base: Training, head: Training) -> None:
    """Raise `NotComparableError` where a score is missing on one side, or was measured by another protocol.

    The versions of the software that measures are left out: they may be the very thing that was changed.
    """
    fields = differing([protocol(base), protocol(head)])
    if fields:
        told = "; ".join(f"{name}: {before}, and {after}" for name, (before, after) in fields.items())
        raise NotComparableError(f"the two sides were not scored alike, so their scores say nothing: {told}")


def protocol(training: Training) -> dict[str, Any]:
    """How scores were measured, and on what."""
    told: dict[str, Any] = {"data": training.data}
    for score in training.metrics:
        told[score.label] = "scored"
        for field, value in score.stamp.items():
            if field not in SOFTWARE:
                told[f"{score.label}, {field}"] = without_provider(value)
    return told


def without_provider(value: Any) -> Any:
    """A plugin's name alone, of "NAME (DISTRIBUTION VERSION)"."""
    return value.partition(" (")[0] if isinstance(value, str) else value
