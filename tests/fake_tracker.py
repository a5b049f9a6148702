"""A tracker for tests, given with -p: writes what it receives to a file, and misbehaves at one event."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from ganbench import Callback, Options, TrackedRun, TrackerContext, TrackerPlugin, hookimpl

URL = "https://tracker.example/runs/7"


class FakeOptions(Options):
    at: str = Field("", description="where it misbehaves: build, or the name of an event")
    does: str = Field("raise", description="how it misbehaves")


class Fake(Callback):
    def __init__(self, options: FakeOptions, context: TrackerContext) -> None:
        self.options = options
        self.context = context
        self.file = context.directory / "received.jsonl"
        for event in [name for name in vars(Callback) if name.startswith("on_")]:
            setattr(self, event, partial(self.receive, event))
        self.receive("build")

    def receive(self, event: str, *arguments: Any) -> None:
        if event == self.options.at:
            MISDEEDS[self.options.does]()
        if event == "on_run_start":
            self.tracked_run = TrackedRun(id="7", url=URL)
        entry = {"event": event, "images": getattr(arguments[-1] if arguments else None, "images", None)}
        if event == "build":
            entry["context"] = asdict(self.context)
        if event == "on_sample_images":
            entry["path"] = arguments[0].path
        with self.file.open("a") as file:
            file.write(json.dumps(entry, default=str) + "\n")


def disturb() -> None:
    """Print, in a child too, and seed what is global in a process."""
    print("hello from the tracker")
    subprocess.run(["echo", "hello from its child"], check=True)
    random.seed(0)
    np.random.seed(0)


def fail() -> None:
    raise RuntimeError("the server is down")


MISDEEDS = {
    "raise": fail,
    "exit": lambda: os._exit(0),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "block": lambda: time.sleep(1000),
    "disturb": disturb,
}


@hookimpl
def ganbench_trackers() -> list[TrackerPlugin]:
    plugin = TrackerPlugin(name="fake", summary="For tests", options=FakeOptions, build=Fake)
    absent = {"no_such_package.module": "ganbench[absent]"}
    return [plugin, TrackerPlugin(name="absent", summary="Not installed", build=Fake, requires=absent)]
