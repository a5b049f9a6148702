"""Passes the events of a run to its trackers, and keeps which runs these made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from ganbench.errors import describe
from ganbench.plugin.callbacks import RunInfo, TrackedRun
from ganbench.plugin.registrations import TrackerContext
from ganbench.reporting.display import warn_caller
from ganbench.results.layout import TRACKER_LOGS, TRACKERS
from ganbench.results.run_directory import RunDirectory
from ganbench.spec.configs import TrackerConfig
from ganbench.system.files import write_text

from .process import TrackerProcess

CLOSE_SECONDS = 30.0  # for all trackers together, after the end of the run
POLL_SECONDS = 0.02


class Trackers:
    """The trackers of a run. They can neither raise nor block; only `close` waits for them, for a limited time."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.runs = read_tracked_runs(directory.path)
        self._processes: list[TrackerProcess] = []

    def start(self, configs: Iterable[TrackerConfig], info: RunInfo) -> None:
        """Start each tracker; warn of one that cannot be started."""
        folder = self.directory.path.absolute()
        for config in configs:
            context = TrackerContext(folder, self.directory.run_id, self.runs.get(config.name))
            try:
                self._processes.append(TrackerProcess(config, context, folder / TRACKER_LOGS / f"{config.name}.log"))
            except OSError as error:
                warn_of_failure(config.name, f"its process could not be started: {describe(error)}")
        self.send("on_run_start", info)

    def send(self, event: str, *arguments: Any) -> None:
        """Pass an event to all trackers without waiting for any; warn of those that have failed, and drop them."""
        for process in list(self._processes):
            process.send(event, *arguments)
            self._attend_to(process)

    def close(self) -> None:
        """Give the trackers `CLOSE_SECONDS` to handle the remaining events, or until Ctrl-C; then stop the others."""
        start = monotonic()
        with suppress(KeyboardInterrupt):
            for process in self._processes:
                process.send_no_more()
            while self._processes and monotonic() < start + CLOSE_SECONDS:
                for process in list(self._processes):
                    ended = process.has_ended  # before its last reports are read
                    process.exchange()
                    self._attend_to(process)
                    if ended and process in self._processes:
                        self._finish(process)
                sleep(POLL_SECONDS)
        for process in list(self._processes):
            self._finish(process)
            warn_caller(
                f"the tracker '{process.name}' was stopped, because it had not finished {monotonic() - start:.1f} s "
                "after the run: it may lack the last events"
            )

    def _attend_to(self, process: TrackerProcess) -> None:
        """Warn of a failure, or store the tracker's run once it is known."""
        if process.tracked_run not in (None, self.runs.get(process.name)):
            self._store(process.name, process.tracked_run)
        if process.failure:
            self._finish(process)
            printed = f". What it printed is in {process.log}" if process.log.exists() else ""
            warn_of_failure(process.name, f"{process.failure}{printed}")

    def _finish(self, process: TrackerProcess) -> None:
        self._processes.remove(process)
        process.stop()
        if process.dropped:
            warn_caller(f"the tracker '{process.name}' is slow: {process.dropped} events were not passed to it")

    def _store(self, name: str, run: TrackedRun | None) -> None:
        assert run is not None
        self.runs[name] = run
        content = {name: asdict(run) for name, run in self.runs.items()}
        with self.directory.extra(TRACKERS, "trackers", warn_caller) as path:
            write_text(path, json.dumps(content, indent=2) + "\n")


def read_tracked_runs(directory: Path) -> dict[str, TrackedRun]:
    """Return the run of each tracker, by the tracker's name, as stored in a run directory; empty if there are none."""
    try:
        content = json.loads((directory / TRACKERS).read_text(encoding="utf-8"))
        return {name: TrackedRun(**run) for name, run in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        warn_caller(f"{directory / TRACKERS}: cannot be read, so the run is unknown in all trackers: {describe(error)}")
        return {}


def warn_of_failure(name: str, reason: str) -> None:
    warn_caller(f"the tracker '{name}' failed, and the run continues without it: {reason}")
