"""Whole trainings, each in a fresh process, whose losses and scores are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from ganbench.errors import NotComparableError
from ganbench.results.comparability import compare_scores
from ganbench.results.differences import differing_fields
from ganbench.results.schema import Environment, PluginRecord, Record

from .arm import (
    Arm,
    Code,
    Measurement,
    SessionError,
)


class Score(Record):
    """A metric at the end of a training."""

    id: str
    name: str
    label: str
    value: float | None  # None where it is not finite, or training did not get there
    higher_is_better: bool
    protocol: dict[str, Any]
    software: dict[str, str]


class Training(Record):
    """What one training came to."""

    status: Literal["completed", "diverged"]
    message: str | None
    losses: dict[str, float | None]  # a row of the history: the last epoch's
    metrics: list[Score]
    environment: Environment
    data: str  # the SHA-256 of its content
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

    Their software may differ: it may be the very thing that was changed.
    """
    fields = differing_fields([{"data": base.data, **labels(base)}, {"data": head.data, **labels(head)}])
    for score, other in paired_scores(base, head):
        differences = compare_scores([score, other])
        fields |= {f"{score.label}, {name}": values for name, values in differences.protocol.items()}
    if fields:
        told = "; ".join(f"{name}: {before}, and {after}" for name, (before, after) in fields.items())
        raise NotComparableError(f"the two sides were not scored alike, so their scores say nothing: {told}")


def software_differences(base: Training, head: Training) -> dict[str, tuple[Any, ...]]:
    """The software behind the scores that differs, with its versions on both sides."""
    fields: dict[str, tuple[Any, ...]] = {}
    for score, other in paired_scores(base, head):
        fields |= compare_scores([score, other]).software
    return fields


def labels(training: Training) -> dict[str, str]:
    return {f"metric {score.id}": score.label for score in training.metrics}


def paired_scores(base: Training, head: Training) -> list[tuple[Score, Score]]:
    """The metrics of both sides, by their ids."""
    others = {score.id: score for score in head.metrics}
    return [(score, others[score.id]) for score in base.metrics if score.id in others]
