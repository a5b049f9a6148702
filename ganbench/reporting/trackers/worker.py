"""The process of one tracker: builds it and passes it the events that the run sends.

Standard input has pickled objects: a `Start`, then events. Standard output has a line of JSON for each `Report`.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from ganbench.errors import GanbenchError, describe
from ganbench.plugin.callbacks import Callback, TrackedRun
from ganbench.plugin.registrations import TrackerContext
from ganbench.plugin.registry import Registry
from ganbench.spec.configs import TrackerConfig
from ganbench.system.signals import termination_signals

LAST_EVENT = "on_run_end"
NICENESS = 10  # training goes first where both need the same core
ORPHAN_SECONDS = 30  # for a tracker to notice that the run was killed


@dataclass(frozen=True)
class Start:
    """What the process needs to build the tracker."""

    tracker: dict[str, Any]  # its name and options
    plugin: str | None  # the file or module that provides it, if it is not installed
    context: TrackerContext


@dataclass(frozen=True)
class Report:
    """What the process reports to the run."""

    tracked_run: TrackedRun | None = None
    failure: str | None = None  # why the tracker receives no more events
    finished: bool = False  # the tracker has received all events

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        content = json.loads(line)
        tracked_run = TrackedRun(**content.pop("tracked_run")) if content["tracked_run"] else None
        return cls(**{**content, "tracked_run": tracked_run})


def main() -> None:
    run = os.getppid()
    events, reports = reserve_streams()
    for number in termination_signals():  # they are meant for the run, which then sends the last event
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which children would inherit
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=end_without, args=(run,), daemon=True).start()

    def report(content: Report) -> None:
        with suppress(BrokenPipeError):  # the run was killed
            reports.write(content.to_line())

    track(iter(partial(load_or_none, events), None), report)


def load_or_none(stream: Any) -> Any:
    """Return the next object in a stream; None at its end."""
    try:
        return pickle.load(stream)
    except EOFError:
        return None


def track(messages: Iterator[Any], report: Callable[[Report], object]) -> None:
    """Build the tracker and pass it all events; report its run once it is known, and how it ended."""
    action, known = "build", None
    try:
        tracker = build(next(messages))
        for action, *arguments in messages:
            getattr(tracker, action)(*arguments)
            if tracker.tracked_run not in (None, known):
                known = tracker.tracked_run
                report(Report(tracked_run=known))
            if action == LAST_EVENT:
                break
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        report(Report(failure=str(error) if isinstance(error, GanbenchError) else f"in {action}: {describe(error)}"))
    else:
        report(Report(finished=True))


def build(start: Start) -> Callback:
    registry = Registry.load([start.plugin] if start.plugin else [])
    tracker: Callback = TrackerConfig.model_validate(start.tracker, context={"registry": registry}).build(start.context)
    return tracker


def reserve_streams() -> tuple[Any, Any]:
    """Return the streams to and from the run, and let the tracker read nothing and print to standard error instead."""
    events, reports = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return events, reports


def end_without(run: int) -> None:
    """End this process and its children if the run is killed, even if the tracker blocks."""
    while os.getppid() == run:
        time.sleep(1)
    time.sleep(ORPHAN_SECONDS)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgid(0), signal.SIGKILL)  # a group of its own
    os._exit(1)
