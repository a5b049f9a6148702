"""Writes the files of a run: the spec, the history, checkpoints, the plot of the losses, and the result."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from functools import partial
from time import perf_counter

from ganbench.errors import GanbenchError
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registrations import PublishedCurve
from ganbench.reporting import plots
from ganbench.results.layout import CHECKPOINT, LAUNCH, LOSSES
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result, Status, load_result
from ganbench.results.throughput import Roofline
from ganbench.runtime.checkpoint import Checkpoint
from ganbench.spec.launch import Launch
from ganbench.system.signals import defer_signals

from .result import build_result
from .resuming import require_readable
from .run_state import RunState
from .warmup import WarmupResult

HISTORY_SECONDS = 1.0  # minimum time between two writes of the history: an epoch may be a single step
PROGRESS_SECONDS = 1.0  # minimum time between two writes of the progress


class RunFiles:
    """The files of one run in its directory."""

    def __init__(
        self, state: RunState, directory: RunDirectory, published_curve: PublishedCurve | None, callback: Callback
    ) -> None:
        self.state = state
        self.directory = directory
        self.callback = callback
        self.published_curve = (
            published_curve
            if published_curve and published_curve.data_fingerprint == state.prepared.data.fingerprint
            else None
        )
        self.saved_steps = 0  # the step of the last checkpoint
        self.resumed_steps = 0  # the step at which an earlier process stopped
        self._checkpoint_at = perf_counter()
        self._checkpoint_verified = False
        self._history_at = self._progress_at = -math.inf

    def write_spec(self, launch: Launch) -> None:
        self.directory.write_spec(self.state.prepared.spec.to_toml())
        self.directory.write_text(LAUNCH, launch.model_dump_json(indent=2))

    @property
    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is older than `checkpoint.every_minutes`."""
        return self.seconds_to_checkpoint == 0

    @property
    def seconds_to_checkpoint(self) -> float:
        """The time until the last checkpoint is older than `checkpoint.every_minutes`; 0 if it is."""
        minutes = self.state.prepared.spec.checkpoint.every_minutes
        return max(0.0, self._checkpoint_at + 60 * minutes - perf_counter())

    def save_checkpoint(self) -> None:
        """Save a checkpoint, without being interrupted.

        Raises `PluginError` if it cannot be read back because of a plugin's state.
        """
        with defer_signals():
            checkpoint = self.state.checkpoint(self.directory)
            if self.state.prepared.ranks.is_first:
                self._write_checkpoint(checkpoint)
            self.saved_steps, self._checkpoint_at = self.state.steps, perf_counter()

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        checkpoint.save(self.directory.file(CHECKPOINT, "checkpoint"))
        if not self._checkpoint_verified:
            require_readable(self.directory)
            self._checkpoint_verified = self.state.steps > 0  # before the first step, optimizers have no state

    def write_history(self, force: bool = False) -> None:
        """Write the history, unless it was written less than `HISTORY_SECONDS` ago."""
        if force or perf_counter() - self._history_at >= HISTORY_SECONDS:
            self.directory.write_history(self.state.history, self.callback.on_warning)
            self._history_at = perf_counter()

    def write_progress(self, progress: Progress) -> None:
        """Write the state of training for `ganbench suite status`, unless it was written a moment ago."""
        if perf_counter() - self._progress_at >= PROGRESS_SECONDS:
            self.directory.write_progress(json.dumps(asdict(replace(progress, upcoming=()))))
            self._progress_at = perf_counter()

    def write_result(
        self,
        warmed_up: WarmupResult | None,
        roofline: Roofline | None,
        status: Status,
        message: str | None,
        scored: bool,
    ) -> Result:
        """Write the result, and the files it lists. The result comes first, in case a later file fails.

        One that is not `scored` does not replace that of an earlier process, if no step was taken since.
        """
        build = partial(build_result, self.state, self.directory, warmed_up, roofline, status, message)
        if not scored and self._result_is_current():
            self.directory.remove_progress()
            return build()
        self.write_history(force=True)
        self.directory.write_result(build())
        prepared = self.state.prepared
        with self.directory.extra(LOSSES, "losses", self.callback.on_warning) as path:
            plots.save_losses(
                self.state.history,
                prepared.spec.name,
                path,
                self.published_curve,
                players=[player for player in PLAYERS if prepared.step.trainable[player]],
                epoch_images=prepared.length.images_per_epoch,
            )
        result = build()  # with the plot among its artifacts
        self.directory.write_result(result)
        self.directory.remove_progress()
        return result

    def _result_is_current(self) -> bool:
        """Return whether the stored result is that of the current step, of an earlier process."""
        try:
            taken = self.state.steps > self.resumed_steps or self.state.steps == 0
            return not taken and load_result(self.directory.path).images == self.state.images
        except GanbenchError:  # there is none, or it cannot be read
            return False
