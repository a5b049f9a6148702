"""Complete training runs, each in a fresh process, whose losses and scores the gate compares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from ganbench.errors import NotComparableError
from ganbench.results.comparability import compare_scores
from ganbench.results.differences import differing_fields
from ganbench.results.record import Record
from ganbench.results.schema import Environment, PluginRecord
from ganbench.results.target import TargetResult

from .side import (
    Code,
    SessionConfig,
    SessionError,
    Side,
    Worker,
)

CODE_HASHES = re.compile(r"( sha256:\w+)? \(source \w+\)$")  # after a version; for a file with -p, they replace it


class Score(Record):
    """A metric at the end of a training run."""

    id: str = Field(description="unique in the spec, such as fid")
    name: str = Field(description="name of the metric's plugin")
    label: str = Field(description="title in tables, with the feature extractor")
    value: float | None = Field(description="the score; null if not finite, or if training stopped before")
    higher_is_better: bool | None = Field(description="whether higher scores are better; null if it is never ranked")
    protocol: dict[str, Any] = Field(description="how and on what it is measured")
    software: dict[str, str] = Field(description="versions of libraries and plugins, with hashes of their source")


class TrainingRun(Record):
    """The outcome of one training run."""

    status: Literal["completed", "diverged"] = Field(description="how it ended")
    message: str | None = Field(description="why it ended before the end of its schedule; null if it did not")
    losses: dict[str, float | None] = Field(
        description="losses and monitors of the last epoch, by name; null if not finite"
    )
    metrics: list[Score] = Field(description="the scores at its end")
    targets: list[TargetResult] = Field([], description="how much training each target of the spec took")
    disturbed: bool = Field(False, description="whether other processes slowed it down")
    environment: Environment = Field(description="where it took place")
    data: str = Field(description="SHA-256 of the content of the data")
    spec: dict[str, Any] = Field(description="the resolved spec")
    plugins: list[PluginRecord] = Field(description="all plugins that were used")
    code: dict[str, Code] = Field(description="the code that ran, by package: ganbench and the plugins it used")


@dataclass(frozen=True)
class TrainingRuns:
    """The training runs of both sides."""

    base: list[TrainingRun]
    head: list[TrainingRun]


def train(side: Side, config: SessionConfig, length_and_seed: Mapping[str, Any], targets: bool = False) -> TrainingRun:
    """Train to the end. Raises `SessionError` if training crashes or fails; divergence is a valid outcome.

    `length_and_seed` overrides these fields of the spec's `training`. With `targets`, the metrics of the spec's targets
    are scored during training too; no target ends it.
    """
    with side.start("train", config, length_and_seed, targets) as worker:
        return training_run_of(worker)


def train_pair(
    base: Side, head: Side, config: SessionConfig, length_and_seed: Mapping[str, Any]
) -> tuple[TrainingRun, TrainingRun]:
    """Train both sides at once, as `train` does. With `config.interleaved` off, train one after the other."""
    if not config.interleaved:
        return train(base, config, length_and_seed), train(head, config, length_and_seed)
    with base.start("train", config, length_and_seed) as one, head.start("train", config, length_and_seed) as other:
        return training_run_of(one), training_run_of(other)


def go_on_to_training(workers: tuple[Worker, Worker]) -> tuple[TrainingRun, TrainingRun]:
    """Let the probes of both sides train, at once. Raises as `train` does."""
    for worker in workers:
        worker.go_on()
    base, head = map(training_run_of, workers)
    return base, head


def training_run_of(worker: Worker) -> TrainingRun:
    """Wait for a worker's reply, and check it. Raises as `train` does."""
    reply = worker.last_answer()
    try:
        training_run = TrainingRun.model_validate(reply)
    except ValidationError as error:
        raise SessionError(f"a training run of {worker.side.name} sent an invalid reply: {error}") from None
    worker.side.require_own(training_run.code)
    return training_run


def require_same_data(base: TrainingRun, head: TrainingRun) -> None:
    """Raise `NotComparableError` if the sides trained on different data."""
    if base.data != head.data:
        raise NotComparableError(f"the data of the two sides differs (SHA-256 {base.data} and {head.data})")


def require_same_protocol(base: TrainingRun, head: TrainingRun) -> None:
    """Raise `NotComparableError` if a score is missing on one side, or if data or protocols differ.

    The software may differ: it may be what was changed.
    """
    require_same_data(base, head)
    if reasons := incomparable_scores(base, head):
        raise NotComparableError(f"the scores of the two sides are not comparable: {'; '.join(reasons.values())}")


def incomparable_scores(base: TrainingRun, head: TrainingRun) -> dict[str, str]:
    """Return why scores are not comparable, by the id of the metric: one side lacks it, or its protocols differ."""
    before, now = ({score.id: score for score in run.metrics} for run in (base, head))
    reasons = {}
    for metric_id in before | now:
        if metric_id not in before or metric_id not in now:
            side, score = ("base", before[metric_id]) if metric_id in before else ("head", now[metric_id])
            reasons[metric_id] = f"only {side} has the metric {metric_id}, {score.label}"
        elif fields := compare_scores([before[metric_id], now[metric_id]]).protocol:
            differing = (f"{name}: {old} and {new}" for name, (old, new) in fields.items())
            reasons[metric_id] = f"{now[metric_id].label}, {', '.join(differing)}"
    return reasons


def software_differences(base: TrainingRun, head: TrainingRun) -> dict[str, tuple[Any, ...]]:
    """Return the software of the scores that differs, with the versions of both sides.

    Only versions count. Hashes of source code do not, because it may be the code under test.
    """
    fields: dict[str, tuple[Any, ...]] = {}
    for pair in paired_scores(base, head):
        fields |= differing_fields(
            {name: CODE_HASHES.sub("", version) for name, version in score.software.items()} for score in pair
        )
    return fields


def paired_scores(base: TrainingRun, head: TrainingRun) -> list[tuple[Score, Score]]:
    """Match the metrics of both sides by id."""
    others = {score.id: score for score in head.metrics}
    return [(score, others[score.id]) for score in base.metrics if score.id in others]
