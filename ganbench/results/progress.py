"""How far a run got: its position and its measurements so far, as stored in a checkpoint."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .schema import DataRecord, Environment, EpochRow, Memory, MetricPoint, PluginRecord, Record, Window


class OpenEpoch(Record):
    """The values that the steps of an unfinished epoch reported."""

    epoch: int
    d_losses: list[float]
    g_losses: list[float]
    monitors: dict[str, float]


class RunProgress(Record):
    """The position of a run and its measurements so far."""

    run_id: str
    created_at: datetime
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    environment: Environment
    data: DataRecord
    steps: int
    images: int
    history: list[EpochRow]
    open_epoch: OpenEpoch | None
    windows: list[Window]
    phase_seconds: dict[str, float]
    memory: Memory
    evaluation_seconds: float
    curves: dict[str, list[MetricPoint]]  # by metric id
    artifacts: dict[str, str]
