"""A side of a comparison, and the fresh processes in which it is measured."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganbench.errors import ExitCode, GanbenchError, MissingError
from ganbench.results.schema import Record
from ganbench.system import source
from ganbench.system.openmp import passive_wait_policy
from ganbench.system.signals import defer_signals

from .git import without_git_locals

WORKER = Path(__file__).with_name("worker.py")
LOG_LINES = 30  # of a crashed session that are shown


class SessionError(GanbenchError):
    """A session crashed or diverged: there is nothing to compare, and it is never taken for slow."""


class Code(Record):
    """A package or module as a session imported it."""

    path: str  # its folder or file
    source: str  # a hash of its source files


@dataclass(frozen=True)
class Measurement:
    """What sessions train and how long they are timed."""

    benchmark: str
    overrides: list[str] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    device: str = "auto"
    data_dir: Path | None = None
    files: tuple[Path, ...] = ()  # of the repository, that overrides or the benchmark name
    windows: int = 5
    window_seconds: float = 2.0
    in_turns: bool = True  # the two sessions of a pair are alive together and take turns by windows


def as_it_is(measurement: Measurement) -> Measurement:
    return measurement


def trusted(code: Mapping[str, Code]) -> None:
    """Any code will do."""


@dataclass(frozen=True)
class Arm:
    """A side of a comparison: which Python measures, where it stands, and what it imports first."""

    name: str
    python: str = sys.executable
    folder: Path = field(default_factory=Path.cwd)
    import_paths: tuple[Path, ...] | None = None  # the whole PYTHONPATH; None leaves the environment's
    checkouts: tuple[Path, ...] = ()  # where the repository's files are on either side, if this is about one
    localized: Callable[[Measurement], Measurement] = as_it_is  # with this side's paths instead of the other's
    held: tuple[str, ...] = ()  # names of packages that count as code under test even where they are installed
    temporary: tuple[Path, ...] = ()  # folders that its sessions remove where the gate was killed
    need_own: Callable[[Mapping[str, Code]], None] = trusted  # raises `NotComparableError` for code of another side
    delay: float = 0.0  # seconds that each step is made to take longer, to test the gate itself

    def start(self, job: str, measurement: Measurement, training: Mapping[str, Any] | None = None) -> Worker:
        """Start a process that does a job of `worker.py`. Raises `SessionError` if it cannot be started.

        `training` is put into the spec's `training` after everything else has been resolved, so that it replaces the
        benchmark's own length and seed, however they were given.
        """
        here = self.localized(measurement)
        request = {
            "job": job,
            "benchmark": here.benchmark,
            "overrides": here.overrides,
            "plugins": here.plugins,
            "training": dict(training or {}),
            "device": here.device,
            "data_dir": str(here.data_dir.resolve()) if here.data_dir else None,
            "window_seconds": here.window_seconds,
            "delay": self.delay,
            "source_module": source.__file__,
            "files": list(map(str, here.files)),
            "held": list(self.held),
            "checkouts": list(map(str, self.checkouts)),
        }
        return Worker(self, request)


class Worker:
    """A running process of an arm: it is asked for turns one by one, and answers in JSON, line by line.

    It has a process group of its own, so that a Ctrl-C reaches the gate alone and whatever the process has started ends
    with it. It ends by itself, in whatever job, when its standard input is closed: then the gate is gone.
    """

    def __init__(self, arm: Arm, request: dict[str, Any]) -> None:
        self.arm = arm
        self._folder = tempfile.mkdtemp(prefix="ganbench-session-")
        request |= {"folder": self._folder, "temporary": [self._folder, *map(str, arm.temporary)]}
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - `__exit__` does
        environment = without_git_locals()
        if arm.import_paths is not None:
            environment["PYTHONPATH"] = os.pathsep.join(map(str, arm.import_paths))
        try:
            self._process = subprocess.Popen(
                # -P: this folder's modules are not the worker's
                [arm.python, "-P", str(WORKER), json.dumps(request)],
                cwd=arm.folder,
                env=environment | passive_wait_policy(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                process_group=0,
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise SessionError(f"a session of {arm.name} could not be started: {error.strerror}") from None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """Neither it nor its files outlive the block, whatever ended that."""
        with defer_signals():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with self._process:  # waits, and closes its pipes
                self._log.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def go_on(self) -> None:
        """Let it take its next turn."""
        self._ask("g")

    def end(self) -> None:
        """Let it take no further turn; it has a last answer."""
        self._ask("e")

    def _ask(self, letter: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(letter)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._crashed() from None

    def answer(self) -> Any:
        """Wait for what it says next. Raises `SessionError` with the end of its log if it ends instead.

        Where it ends because its side lacks the benchmark, a plugin or an option, that is a `MissingError`.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._crashed()
        try:
            return json.loads(line)
        except ValueError as error:
            raise SessionError(f"a session of {self.arm.name} said what cannot be read: {error}: {line}") from None

    def last_answer(self) -> Any:
        """Wait for it to end. Raises `SessionError` as `answer` does, and if it ends badly."""
        told = self.answer()
        if self._process.wait():
            raise self._crashed()
        return told

    def _crashed(self) -> GanbenchError:
        code = self._process.wait()
        self._log.seek(0)
        log = "\n".join(self._log.read().splitlines()[-LOG_LINES:])
        if code == ExitCode.NOT_COMPARABLE:
            return MissingError(f"{self.arm.name} does not have what is to be measured: {log}")
        return SessionError(f"a session of {self.arm.name} failed with exit code {code}:\n{log}")
