"""The callbacks of a run, which can neither end nor change it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch

from ganbench.errors import GanbenchWarning, describe
from ganbench.plugin.callbacks import Callback, Progress, RunInfo, SampleImages
from ganbench.plugin.registrations import TrackerContext
from ganbench.results.schema import EpochRow, MetricPoint, Result
from ganbench.runtime.rng import preserve_default_rngs
from ganbench.spec.configs import TrackerConfig


class Callbacks(Callback):
    """Passes every event to several callbacks; reports and drops one that raises."""

    def __init__(self, callbacks: Iterable[Callback], device: torch.device) -> None:
        self.callbacks = list(callbacks)
        self.device = device

    def on_run_start(self, info: RunInfo) -> None:
        self._call("on_run_start", info)

    def on_status(self, status: str) -> None:
        self._call("on_status", status)

    def on_warning(self, message: str) -> None:
        self._call("on_warning", message)

    def on_window_end(self, progress: Progress) -> None:
        self._call("on_window_end", progress)

    def on_epoch_end(self, row: EpochRow) -> None:
        self._call("on_epoch_end", row)

    def on_score(self, label: str, point: MetricPoint) -> None:
        self._call("on_score", label, point)

    def on_best(self, label: str, point: MetricPoint) -> None:
        self._call("on_best", label, point)

    def on_sample_images(self, samples: SampleImages) -> None:
        self._call("on_sample_images", samples)

    def on_run_end(self, result: Result) -> None:
        self._call("on_run_end", result)

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in list(self.callbacks):
            try:
                with preserve_default_rngs(self.device):
                    getattr(callback, method)(*arguments)
            except (Exception, SystemExit) as error:
                self.callbacks.remove(callback)
                name = type(callback).__qualname__
                warnings.warn(
                    f"the callback {name} raised in {method}, and the run continues without it: {describe(error)}",
                    GanbenchWarning,
                    stacklevel=3,
                )

    def add_trackers(self, trackers: Iterable[TrackerConfig], context: TrackerContext, info: RunInfo) -> None:
        """Build trackers and start them; report and omit one that cannot be built."""
        added = Callbacks([], self.device)
        for tracker in trackers:
            try:
                with preserve_default_rngs(self.device):
                    added.callbacks.append(tracker.build(context))
            except Exception as error:
                warnings.warn(f"the run continues without a tracker: {error}", GanbenchWarning, stacklevel=2)
        added.on_run_start(info)
        self.callbacks += added.callbacks
