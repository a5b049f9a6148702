"""One side of a comparison, and the worker processes that measure it."""

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

from pydantic import Field

from ganbench.errors import ExitCode, GanbenchError, MissingError, UsageError
from ganbench.results.record import Record
from ganbench.system.openmp import passive_wait_policy
from ganbench.system.signals import defer_signals

from .lengths import WINDOW_SECONDS, WINDOWS
from .revision.git import without_git_locals

WORKER = Path(__file__).parent / "worker" / "main.py"
LOG_LINES = 30  # shown from the log of a crashed session
CURRENT_CODE = "current code"  # name of the side that is compared with a baseline
ERRORS = {ExitCode.USAGE: UsageError, ExitCode.NOT_COMPARABLE: MissingError}  # that a session reports


class SessionError(GanbenchError):
    """A session crashed or diverged, so there is nothing to compare. Never counted as a slowdown."""


class Code(Record):
    """A package or module that a session imported."""

    path: str = Field(description="its folder or file")
    source: str = Field(description="SHA-256 of its source files")


@dataclass(frozen=True)
class SessionConfig:
    """What sessions train, and how long they time it."""

    benchmark: str
    overrides: list[str] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    device: str = "auto"
    data_dir: Path | None = None
    files: tuple[Path, ...] = ()  # in the repository, named by overrides or the benchmark
    windows: int = WINDOWS
    window_seconds: float = WINDOW_SECONDS
    interleaved: bool = True  # run both sessions of a pair at once, alternating by window


def keep_paths(config: SessionConfig) -> SessionConfig:
    return config


def accept_any_code(code: Mapping[str, Code]) -> None:
    """Accept code from any location."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: which Python runs, in which folder, and where it imports from first."""

    name: str
    python: str = sys.executable
    folder: Path = field(default_factory=Path.cwd)
    import_paths: tuple[Path, ...] | None = None  # the complete PYTHONPATH; None keeps that of the environment
    checkouts: tuple[Path, ...] = ()  # root folders of both sides, when comparing revisions
    localize: Callable[[SessionConfig], SessionConfig] = keep_paths  # maps paths to this side's
    repository_packages: tuple[str, ...] = ()  # treated as code under test even where installed
    native_code: str = ""  # a hash of the code of its checkout that is not in Python, which sessions may not see
    environment: Mapping[str, str] = field(default_factory=dict)  # replaces variables of the environment
    temporary: tuple[Path, ...] = ()  # folders that its sessions remove if the gate is killed
    require_own: Callable[[Mapping[str, Code]], None] = accept_any_code  # raises `NotComparableError`
    delay: float = 0.0  # seconds added to each step, to test the gate itself

    def start(
        self,
        job: str,
        config: SessionConfig,
        training: Mapping[str, Any] | None = None,
        targets: bool = False,
        scores: bool = True,
    ) -> Worker:
        """Start a process that runs a job of `worker/main.py`. Raises `SessionError` if it cannot be started.

        `training` updates the spec's `training` after everything else is resolved, so it replaces the benchmark's
        length and seed however they were given. `targets` keeps the targets of the spec. Without `scores`, a probe does
        not prepare the metrics.
        """
        config = self.localize(config)
        request = {
            "job": job,
            "benchmark": config.benchmark,
            "overrides": config.overrides,
            "plugins": config.plugins,
            "training": dict(training or {}),
            "targets": targets,
            "scores": scores,
            "device": config.device,
            "data_dir": str(config.data_dir.resolve()) if config.data_dir else None,
            "window_seconds": config.window_seconds,
            "delay": self.delay,
            "files": list(map(str, config.files)),
            "repository_packages": list(self.repository_packages),
            "checkouts": list(map(str, self.checkouts)),
        }
        return Worker(self, request)


class Worker:
    """A worker process of one side, which replies with lines of JSON and, on request, goes on with its job.

    It has its own process group, so that Ctrl-C reaches only the gate, and so that its child processes end with it. It
    exits when its standard input closes, because the gate is then gone.
    """

    def __init__(self, side: Side, request: dict[str, Any]) -> None:
        self.side = side
        self._folder = tempfile.mkdtemp(prefix="ganbench-session-")
        request |= {"folder": self._folder, "temporary": [self._folder, *map(str, side.temporary)]}
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - `__exit__` does
        environment = without_git_locals() | dict(side.environment)
        if side.import_paths is not None:
            environment["PYTHONPATH"] = os.pathsep.join(map(str, side.import_paths))
        try:
            self._process = subprocess.Popen(
                # -P: keep this folder's modules out of sys.path
                [side.python, "-P", str(WORKER), json.dumps(request)],
                cwd=side.folder,
                env=environment | passive_wait_policy(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                process_group=0,
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise SessionError(f"a session of {side.name} could not be started: {error.strerror}") from None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process and remove its files, however the block ended."""
        with defer_signals():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with self._process:  # wait, and close the pipes
                self._log.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def go_on(self) -> None:
        """Ask for the next part of the job, such as another window."""
        self._ask("g")

    def end(self) -> None:
        """Ask it to stop training; its final reply follows."""
        self._ask("e")

    def _ask(self, letter: str) -> None:
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), letter.encode())  # no buffer, which would be flushed again at exit
        except BrokenPipeError:
            raise self._crashed() from None

    def answer(self) -> Any:
        """Wait for the next reply. Raises `SessionError` with the end of the log if the process exits instead.

        Raises `MissingError` if this side lacks the benchmark, a plugin, an option or a metric's weights, and
        `UsageError` for a usage error that only a session can find, such as a device that does not exist.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._crashed()
        try:
            reply = json.loads(line)
        except ValueError as error:
            raise SessionError(f"a session of {self.side.name} sent an invalid reply: {error}: {line}") from None
        if isinstance(reply, dict) and "error" in reply:
            raise ERRORS.get(reply["exit_code"], SessionError)(f"{self.side.name}: {reply['error']}")
        return reply

    def last_answer(self) -> Any:
        """Wait for the final reply and the exit. Raises as `answer` does, and for a nonzero exit code."""
        reply = self.answer()
        if self._process.wait():
            raise self._crashed()
        return reply

    def _crashed(self) -> SessionError:
        code = self._process.wait()
        self._log.seek(0)
        log = "\n".join(self._log.read().splitlines()[-LOG_LINES:])
        how = f"failed with exit code {code}" if code >= 0 else f"ended by signal {-code} ({signal.strsignal(-code)})"
        if code == -signal.SIGKILL or "out of memory" in log:  # as torch says for a GPU
            how += ", as if memory had run out; if two sessions ran at once, try --sequential"
        return SessionError(f"a session of {self.side.name} {how}:\n{log}")
