"""A side of a comparison, and the fresh processes in which it is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganbench.errors import ExitCode, GanbenchError, MissingError
from ganbench.openmp import sleeping_threads

WORKER = Path(__file__).with_name("worker.py")
LOG_LINES = 30  # of a crashed session that are shown


class SessionError(GanbenchError):
    """A session crashed or diverged: there is nothing to compare, and it is never taken for slow."""


@dataclass(frozen=True)
class Measurement:
    """What sessions train and how long they are timed."""

    benchmark: str
    overrides: list[str] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    device: str = "auto"
    data_dir: Path | None = None
    windows: int = 5
    window_seconds: float = 2.0
    in_turns: bool = True  # the two sessions of a pair are alive together and take turns by windows


@dataclass(frozen=True)
class Arm:
    """A side of a comparison: which Python measures, where it stands, and what it imports first."""

    name: str
    python: str = sys.executable
    folder: Path = field(default_factory=Path.cwd)
    import_paths: tuple[Path, ...] = ()
    own: Callable[[Path], Path] = lambda path: path  # where this side has a file that people name by the other's path
    delay: float = 0.0  # seconds that each step is made to take longer, to test the gate itself

    def start(self, job: str, measurement: Measurement, overrides: list[str] | None = None) -> Worker:
        """Start a process that does a job of `worker.py`. Raises `SessionError` if it cannot be started."""
        request = {
            "job": job,
            "benchmark": self._named(measurement.benchmark),
            "overrides": [*measurement.overrides, *(overrides or [])],
            "plugins": [self._named(plugin) for plugin in measurement.plugins],
            "device": measurement.device,
            "data_dir": str(measurement.data_dir.resolve()) if measurement.data_dir else None,
            "window_seconds": measurement.window_seconds,
            "delay": self.delay,
        }
        return Worker(self, request)

    def _named(self, name: str) -> str:
        return str(self.own(Path(name).resolve())) if name.endswith((".py", ".toml")) else name


class Worker:
    """A running process of an arm: it is told to go on line by line, and answers in JSON."""

    def __init__(self, arm: Arm, request: dict[str, Any]) -> None:
        self.arm = arm
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - `__exit__` does
        paths = [str(path) for path in arm.import_paths]
        if "PYTHONPATH" in os.environ:
            paths.append(os.environ["PYTHONPATH"])
        try:
            self._process = subprocess.Popen(
                [arm.python, "-P", str(WORKER), json.dumps(request)],  # -P: this folder's modules are not the worker's
                cwd=arm.folder,
                env={**os.environ, **sleeping_threads(os.environ), "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
            )
        except OSError as error:
            raise SessionError(f"a session of {arm.name} could not be started: {error.strerror}") from None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """It does not outlive the block, whatever ended that."""
        self._process.kill()
        with self._process:  # waits, and closes its pipes
            self._log.close()

    def go_on(self) -> None:
        """Let it take its next turn."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("go on\n")
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

    def end(self) -> None:
        """Let it take no further turn; it has a last answer."""
        assert self._process.stdin is not None
        self._process.stdin.close()

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
