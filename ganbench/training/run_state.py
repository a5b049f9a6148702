"""The progress of a run and its measurements so far."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from ganbench.data.batches import Inputs
from ganbench.results.progress import RunProgress
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import EpochRow
from ganbench.runtime.checkpoint import Checkpoint
from ganbench.system.shared_machine import shared_with

from .history import EpochLosses
from .position import Position
from .preparation import PreparedRun
from .state.step_state import live_state, restore_state, state_of_rank
from .timing import TrainingClock


class RunState:
    """What changes while a run trains. Checkpoints contain all of it, and the state of the training step."""

    def __init__(self, prepared: PreparedRun) -> None:
        self.prepared = prepared
        self.clock = TrainingClock(prepared.device, prepared.ranks)
        self.evaluation_seconds = 0.0
        self.steps = 0
        self.images = 0
        self.history: list[EpochRow] = []
        self.open_epoch: EpochLosses | None = None  # started, but not in the history yet
        self._inputs: Iterator[Inputs] | None = None  # of the open epoch
        self.order = prepared.batches.order.get_state()  # of the batches, at the start of the epoch
        self.shared_with = shared_with()  # which other work the machine did in any of the windows
        self.conditions: dict[str, Any] = {}  # of the speed, in all processes so far; empty before the first warm-up
        self.length_users: list[str] = []  # plugins that used the length of the run in earlier processes

    @property
    def steps_into_epoch(self) -> int:
        return self.steps % self.prepared.steps_per_epoch

    @property
    def position(self) -> Position:
        return Position(self.steps, self.images)

    def add(self, images: int) -> None:
        """Count a step with this number of real images, over all ranks."""
        self.steps += 1
        self.images += images
        if not self.steps_into_epoch:
            self._inputs = None

    def open_epoch_losses(self) -> EpochLosses:
        """Return the losses of the current epoch."""
        self.open_epoch = self.open_epoch or EpochLosses(
            self.steps // self.prepared.steps_per_epoch + 1, self.prepared.ranks
        )
        return self.open_epoch

    def inputs_left(self) -> Iterator[Inputs]:
        """Return the inputs of the remaining steps of the current epoch."""
        if self._inputs is None:
            self._inputs = self._begin_epoch()
        return self._inputs

    def _begin_epoch(self) -> Iterator[Inputs]:
        batches, done = self.prepared.batches, self.steps_into_epoch
        if done:
            batches.order.set_state(self.order)
        else:
            self.order = batches.order.get_state()
        inputs = batches.epoch()
        for _ in range(done):
            next(inputs)
        return inputs

    def end_epoch(self) -> EpochRow | None:
        """Add the current epoch, complete or not, to the history and return its row; None if it has no steps."""
        if self.open_epoch is None or not self.open_epoch.steps:
            return None
        epoch = self.open_epoch.epoch
        windows = list(takewhile(lambda window: window.epoch == epoch, reversed(self.clock.windows)))
        row = self.open_epoch.row(sum(window.images for window in windows), sum(window.seconds for window in windows))
        self.open_epoch = None
        self.history.append(row)
        return row

    def checkpoint(self, directory: RunDirectory) -> Checkpoint:
        """Return a checkpoint of the run. It shares its tensors with the networks: save it before the next step.

        On the first rank, it contains the state of the other ranks.
        """
        prepared = self.prepared
        progress = RunProgress(
            run_id=directory.run_id,
            created_at=directory.created_at,
            artifacts=directory.artifacts,
            spec=prepared.spec.to_dict(),
            plugins=prepared.plugins,
            environment=prepared.environment,
            data=prepared.data_record,
            steps=self.steps,
            images=self.images,
            history=self.history,
            open_epoch=self.open_epoch.record() if self.open_epoch else None,
            windows=self.clock.windows,
            phase_seconds=dict(self.clock.phase_seconds),
            memory=self.clock.memory(),
            evaluation_seconds=self.evaluation_seconds,
            conditions=self.conditions,
            curves=prepared.evaluator.curves(),
            score_warnings=prepared.evaluator.warnings(),
            length_users=sorted({*self.length_users, *prepared.length_users()}),
            score_protocols=prepared.evaluator.protocols(),
            score_software=prepared.evaluator.software(),
            shared_with=self.shared_with,
        )
        state = live_state(prepared.step, prepared.batches)
        others = [] if prepared.ranks.alone else prepared.ranks.gather(state_of_rank(state))[1:]
        return Checkpoint(progress, state, self.order, others)

    def resume_from(self, checkpoint: Checkpoint) -> None:
        """Restore the state from a checkpoint."""
        progress, prepared = checkpoint.progress, self.prepared
        restore_state(checkpoint.state_for(prepared.ranks.rank), prepared.step, prepared.batches)
        self.order = checkpoint.order
        self.steps, self.images = progress.steps, progress.images
        self.history = list(progress.history)
        self.open_epoch = EpochLosses.from_record(progress.open_epoch, prepared.ranks) if progress.open_epoch else None
        self.clock.resume_from(progress.windows, progress.phase_seconds, progress.memory)
        self.evaluation_seconds = progress.evaluation_seconds
        if progress.windows:  # those of the earlier process are kept
            self.shared_with = progress.shared_with or self.shared_with
            self.conditions = progress.conditions
        self.length_users = progress.length_users
        prepared.evaluator.resume_from(progress.curves, progress.score_warnings)
