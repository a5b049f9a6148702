"""The callbacks of a run, which can neither end nor change it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ganbench.errors import GanbenchWarning, describe
from ganbench.plugin.callbacks import Callback, Progress, RunInfo, SampleImages
from ganbench.reporting.display import warn_caller
from ganbench.reporting.trackers.fan_out import Trackers
from ganbench.results.schema import EpochRow, MetricPoint, Result
from ganbench.runtime.rng import preserve_default_rngs
from ganbench.spec.configs import TrackerConfig


class Callbacks(Callback):
    """Passes every event to several callbacks and trackers; reports and drops a callback that raises."""

    def __init__(self, callbacks: Iterable[Callback], device: torch.device) -> None:
        self.callbacks = list(callbacks)
        self.device = device
        self.trackers: Trackers | None = None

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
        if self.trackers is not None:
            try:
                self.trackers.send(method, *arguments)
            except Exception as error:
                self.trackers = None
                warn_of_trackers(error)
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

    @contextmanager
    def tracked(self, configs: Sequence[TrackerConfig], trackers: Trackers, info: RunInfo) -> Iterator[None]:
        """Within the block, pass events to these trackers too; at its end, give them limited time to finish."""
        try:
            trackers.start(configs, info)
            self.trackers = trackers
        except Exception as error:
            warn_of_trackers(error)
        try:
            yield
        finally:
            self.trackers = None
            if configs:
                self.on_status("waiting for the trackers")
            try:
                trackers.close()
            except Exception as error:
                warn_of_trackers(error)


def warn_of_trackers(error: Exception) -> None:
    warn_caller(f"the trackers failed, and the run continues without them: {describe(error)}")
