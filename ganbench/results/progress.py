"""How far a run got: its position and its measurements so far, as stored in a checkpoint."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from .schema import DataRecord, Environment, EpochRow, MetricPoint, PluginRecord, Record
from .throughput import Memory, Window


class OpenEpoch(Record):
    """The values that the steps of an unfinished epoch reported."""

    epoch: int = Field(description="number of the epoch; the first is 1")
    d_losses: list[float] = Field(description="the discriminator's loss in each step so far")
    g_losses: list[float] = Field(description="the generator's loss in each step so far")
    monitors: dict[str, float | None] = Field(
        description="the loss's monitors in the last step, by name; null if not finite"
    )


class RunProgress(Record):
    """The position of a run and its measurements so far."""

    run_id: str = Field(description="unique name of the run")
    created_at: datetime = Field(description="start of the run, ISO 8601, in UTC")
    spec: dict[str, Any] = Field(description="the resolved spec; unset fields are left out")
    plugins: list[PluginRecord] = Field(description="all plugins that the run uses")
    environment: Environment = Field(description="where the run takes place")
    data: DataRecord = Field(description="the data that the run trains on")
    steps: int = Field(description="training steps so far")
    images: int = Field(description="real images shown to the discriminator so far")
    history: list[EpochRow] = Field(description="one row per complete epoch")
    open_epoch: OpenEpoch | None = Field(description="the epoch in progress; null between epochs")
    windows: list[Window] = Field(description="all windows so far, in order")
    phase_seconds: dict[str, float] = Field(description="seconds of training in each phase")
    memory: Memory = Field(description="the most memory used so far")
    evaluation_seconds: float = Field(description="seconds of all scores and sample images so far")
    conditions: dict[str, Any] = Field(description="the conditions of the speed, as in a result")
    curves: dict[str, list[MetricPoint]] = Field(description="all scores so far, by id")
    score_warnings: dict[str, list[str]] = Field(description="warnings about the scores so far, by the metric's id")
    length_users: list[str] = Field([], description="plugins other than schedules that used the length of the run")
    score_protocols: dict[str, dict[str, Any]] = Field(description="the protocols of the scores, by the metric's id")
    score_software: dict[str, dict[str, str]] = Field(description="the software of the scores, by the metric's id")
    shared_with: str | None = Field(None, description="which other work the machine did; null if it did none")
    artifacts: dict[str, str] = Field(
        description="the other files in the run directory: paths relative to it, by purpose"
    )
