"""Jobs: the runs of a suite as commands, for executors to start on any machine that shares the suite's folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from ganbench.errors import ExitCode, GanbenchError
from ganbench.results.layout import SPEC, last_written
from ganbench.results.schema import load_result
from ganbench.system import openmp
from ganbench.system.locks import is_locked
from ganbench.system.parent import end_with_parent
from ganbench.system.shared_machine import VARIABLE

STOP_SECONDS = 60  # from SIGTERM to SIGKILL; a run needs them to write its checkpoint
POLL_SECONDS = 0.2
LOG_SECONDS = 60  # until a job that waits for another process logs this
STALLED_SECONDS = 1800  # until it gives up on one that writes no files; the warm-up and scoring may take minutes


@dataclass(frozen=True)
class Job:
    """One run of a suite as a command; `JobProcess` runs it. Plain text only, so that any executor can send it.

    `begin` starts the run, and `resume` continues it once it has written its spec. With --seeds-at-once, a job may
    train several seeds at once, and cannot be resumed.
    """

    name: str  # that of its cell, or its first one; unique in the suite
    directory: Path  # the run directory
    begin: tuple[str, ...]
    resume: tuple[str, ...]
    log: Path  # receives standard output and error of all attempts
    working_directory: Path
    processes: int = 1  # of the run on one machine; both commands start them, each on a GPU of its own if it has GPUs
    others: tuple[Path, ...] = ()  # the run directories of further seeds

    given_threads = staticmethod(openmp.given_threads)

    def thread_variables(self, threads: int) -> dict[str, str]:
        """Return the environment variable that divides `threads` CPU threads evenly among the run's processes."""
        return {"OMP_NUM_THREADS": str(max(1, threads // self.processes))}

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of its cells, which are also those of the run directories."""
        return (self.name, *(directory.name for directory in self.others))

    @property
    def finished(self) -> bool:
        """Whether every run has a result that no further attempt would change."""
        return all(map(is_finished, (self.directory, *self.others)))

    @property
    def locked(self) -> list[Path]:
        """The run directories of the job to which a process writes."""
        return [directory for directory in (self.directory, *self.others) if is_locked(directory)]

    @property
    def written_at(self) -> list[float]:
        """When the files of its runs were last written, which changes while a run makes progress."""
        return [last_written(directory) for directory in (self.directory, *self.others)]

    @property
    def command(self) -> tuple[str, ...]:
        """The command of the next attempt."""
        return self.resume if (self.directory / SPEC).is_file() else self.begin


def is_finished(directory: Path) -> bool:
    with suppress(GanbenchError):
        return load_result(directory).is_final
    return False


class JobProcess:
    """Runs a job as a child process of this one. Use one object for each attempt."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self,
        environment: Mapping[str, str] = {},
        cpus: Sequence[int] = (),
        shared_with: str = "",
        ignored_signals: Sequence[int] = (),
    ) -> int:
        """Run the job and return its exit code, negative for a signal. Do nothing if it has finished already.

        - `environment`: variables to add to those of this process.
        - `cpus`: the only CPUs on which it may run; all if empty.
        - `shared_with`: which other work the machine does meanwhile; the result then marks its speed as unreliable.
        - `ignored_signals`: those that a scheduler may send to all processes, but which are for this one alone.

        Waits while another process still writes to a run directory of the job, such as a process of a killed suite,
        and gives up only if that process makes no progress for long.
        """
        if not self._wait_for_others():
            return ExitCode.FAILED
        if self.job.finished:
            return ExitCode.DONE
        if self._stopping.is_set():
            return ExitCode.INTERRUPTED

        def prepare() -> None:
            for number in ignored_signals:
                signal.signal(number, signal.SIG_IGN)
            end_with_parent()

        variables = {**os.environ, **environment, **({VARIABLE: shared_with} if shared_with else {})}
        with self.job.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.job.command,
                cwd=self.job.working_directory,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the suite, which then ends its jobs in order
                preexec_fn=prepare if sys.platform == "linux" else None,
            )
        if cpus and hasattr(os, "sched_setaffinity"):
            with suppress(OSError):  # it has already ended
                os.sched_setaffinity(self._process.pid, cpus)  # before it starts threads, which inherit this
        if self._stopping.is_set():
            self._process.terminate()
        return self._process.wait()

    def _wait_for_others(self) -> bool:
        """Wait until no other process writes to a run directory of the job; False if one seems to hang."""
        start = progress_at = time.monotonic()  # the clocks of other machines, which date the files, may differ
        logged, before = False, list[float]()
        while (locked := self.job.locked) and not self._stopping.wait(POLL_SECONDS):
            folders, now = ", ".join(map(str, locked)), time.monotonic()
            if now - start > LOG_SECONDS and not logged:
                self._log(f"waiting for another process writing to {folders}")
                logged = True
            if (written_at := self.job.written_at) != before:
                progress_at, before = now, written_at
            if now - progress_at > STALLED_SECONDS:
                since = f"for {(now - progress_at) / 60:.0f} minutes"
                self._log(f"error: another process keeps {folders} locked and has made no progress {since}; end it")
                return False
        return True

    def _log(self, message: str) -> None:
        with self.job.log.open("a", encoding="utf-8") as log:
            print(message, file=log)

    def stop(self) -> None:
        """Ask the run to write a checkpoint and end; kill it if it does not. Returns immediately."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
            killer = threading.Timer(STOP_SECONDS, self._process.kill)
            killer.daemon = True
            killer.start()

    def stop_and_wait(self) -> None:
        """Stop the run, and wait until it has ended; in a signal handler, too, which may interrupt `run`."""
        self.stop()
        while self._process is not None and _is_running(self._process):
            time.sleep(POLL_SECONDS)


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a child process has not ended, if possible leaving its exit code for `run`."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13, and Windows
        return process.poll() is None
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    return False


@dataclass(frozen=True)
class JobEnd:
    """How an attempt of a job ended. Whether the run succeeded is decided by its result file."""

    exit_code: int | None  # negative for a signal; None if it is unknown, because the job was lost
    reason: str = ""  # why the job was lost, such as "node gpu-7 failed"


@runtime_checkable
class Executor(Protocol):
    """Runs jobs somewhere, any number at a time. `build` of an executor plugin returns one."""

    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        """Queue jobs and return immediately, with a future for each, in the same order.

        A job that an earlier process submitted, and that has not ended, is not submitted twice. A job that is lost ends
        with a `JobEnd`, and affects no other. Raises `GanbenchError` if the jobs are refused.
        """

    def shut_down(self) -> None:
        """Stop all jobs that have not ended, giving them time to write a checkpoint; wait until they have ended."""
