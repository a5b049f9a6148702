"""Running the cells of a suite through an executor: submitting, retrying, recording, and stopping in order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from ganbench.errors import ExitCode, GanbenchError, PluginError, UsageError
from ganbench.plugin.jobs import Executor, JobEnd
from ganbench.plugin.registry import Registered
from ganbench.reporting.console import print_warning, warn_on_error
from ganbench.results.layout import RESULT, has_result
from ganbench.results.suite_record import Attempt, CellRecord
from ganbench.system.signals import defer_signals, interrupt_once, signal_name

from .cell_state import CellStatus, State, now, read_result, read_status, unfinished_status
from .folder import SuiteFolder
from .grouping import group_seeds

T = TypeVar("T")
POLL_SECONDS = 0.5
REFUSED_SECONDS = 60  # before a job that the executor has refused is submitted again: a queue may be restarting
DISPLAY_SHARE = 0.01  # the most time to spend on the display, which runs of the same machine would lack
HOPELESS = {ExitCode.USAGE, ExitCode.NOT_COMPARABLE}  # another attempt would end in the same way
IN_PROGRESS = {State.QUEUED, State.RUNNING}
LOG_BYTES = 20_000  # at the end of a log, where the error is


class SuiteRun:
    """One execution of a suite, from its unfinished cells to their results."""

    def __init__(
        self,
        folder: SuiteFolder,
        cells: Sequence[CellRecord],
        plugin: Registered,
        executor: Executor,
        retries: int,
        arguments: Sequence[str],
        seeds_at_once: bool,
        on_change: Callable[[CellStatus], None],
        on_poll: Callable[[Iterable[CellStatus]], None],
    ) -> None:
        """`plugin` is that of the executor, and `arguments` are passed to every run.

        With `seeds_at_once`, the first attempt of several seeds is one job.

        `on_change` is called when a cell ends, and `on_poll` up to twice a second with all cells.
        """
        self.folder = folder
        self.plugin = plugin
        self.executor = executor
        self.retries = retries
        self.arguments = arguments
        self.on_change, self.on_poll = on_change, on_poll
        self.seeds_at_once = seeds_at_once
        self.statuses = {cell.id: read_status(folder.path, cell, alive=False) for cell in cells}
        self._tries: Counter[str] = Counter()
        self._problems: dict[str, str | None] = {}  # of the attempt before
        self._attempts: dict[str, Attempt] = {}
        self._logs: dict[str, Log] = {}  # of the attempt
        self._futures: dict[Future[JobEnd], list[str]] = {}  # with the cells of each job
        self._waiting: dict[str, float] = {}  # cells to submit again, and when
        self._next_poll = 0.0
        self._shows = True  # until that fails

    def run(self) -> None:
        """Run all unfinished cells, each up to `retries` more times if it fails.

        On a termination signal, stops all jobs and raises `KeyboardInterrupt`. Raises `GanbenchError` if the executor
        refuses the jobs at first, or the folder cannot be written to, after stopping all jobs.
        """
        with interrupt_once():
            try:
                self._submit([cell for cell, status in self.statuses.items() if not status.finished])
                while self._futures or self._waiting:
                    done = self._wait()
                    ended = [(cell, future) for future in done for cell in self._futures.pop(future)]
                    for cell, future in ended:
                        if self._try_again(cell, future):
                            self._waiting[cell] = monotonic() + (REFUSED_SECONDS if is_refused(future) else 0)
                    due = [cell for cell, when in self._waiting.items() if when <= monotonic()]
                    for cell in due:
                        del self._waiting[cell]
                    self._submit(due, again=True)
                    self._poll()
            finally:
                self._shut_down()

    def _wait(self) -> Iterable[Future[JobEnd]]:
        """Wait until a job ends, at most for the time between polls; return those that have ended."""
        if not self._futures:
            sleep(POLL_SECONDS)
        return wait(self._futures, POLL_SECONDS, FIRST_COMPLETED).done

    def _submit(self, cells: Sequence[str], again: bool = False) -> None:
        """Submit cells, those that are submitted again one by one: a refusal then only ends the attempt of one cell."""
        if not cells:
            return
        at_once = self.seeds_at_once and not again
        jobs = group_seeds(self.folder, cells) if at_once else [[cell] for cell in cells]
        for job in jobs:
            log, size = self.folder.log(job[0]), self.folder.log_size(job[0])
            for cell in job:
                self._tries[cell] += len(job) == 1  # what ends a job of several seeds may concern only one of them
                self._attempts[cell] = Attempt(executor=self.plugin.plugin.name, submitted_at=now())
                self._logs[cell] = Log(log, size, of_cell=cell if len(job) > 1 else None)
                self.folder.add_attempt(cell, self._attempts[cell])
        for submitted in [[job] for job in jobs] if again else [jobs]:
            try:
                futures = self._futures_of(submitted)
            except GanbenchError as error:
                if not again:
                    raise
                futures = [refused(error)]
            self._futures |= dict(zip(futures, submitted, strict=True))

    def _futures_of(self, jobs: Sequence[Sequence[str]]) -> list[Future[JobEnd]]:
        """Submit jobs to the executor. Raises `PluginError` if it does not return a future for each."""
        # an interruption must not leave jobs that the executor does not know, and so cannot stop
        with defer_signals(), self.plugin.wrap_errors("raised in submit"):
            futures = self.executor.submit([self.folder.job(job, self.arguments) for job in jobs])
        are_futures = [isinstance(future, Future) for future in futures] if isinstance(futures, list) else []
        if are_futures != [True] * len(jobs):
            raise PluginError(
                f"{self.plugin}: submit must return a list with a future for each of {len(jobs)} jobs, got {futures!r}"
            )
        return futures

    def _shut_down(self) -> None:
        """Stop all jobs and record their ends. A failure is only a warning: it must not hide why the suite ends."""
        try:
            with self.plugin.wrap_errors("raised in shut_down"):
                self.executor.shut_down()
        except GanbenchError as error:
            print_warning(f"{error}; jobs may still be running")
            return  # without an end, the status of a cell tells whether its run is still being written
        with suppress(GanbenchError):  # an attempt without an end counts as stopped, too
            for cell in chain.from_iterable(self._futures.values()):
                self._record_end(cell, None, None)

    def _tell(self, show: Callable[[T], None], what: T) -> None:
        """Show something, unless showing has failed before: no run depends on it."""
        if self._shows:
            self._shows = False
            with warn_on_error("showing the suite"):
                show(what)
                self._shows = True

    def _poll(self) -> None:
        if (begun := monotonic()) < self._next_poll:
            return
        self._tell(self.on_poll, self._refreshed())
        ended = monotonic()
        self._next_poll = ended + (ended - begun) / DISPLAY_SHARE

    def _try_again(self, cell: str, future: Future[JobEnd]) -> bool:
        """Record how an attempt ended, and return whether to submit the cell again."""
        try:
            with self.plugin.wrap_errors("raised for this job"):
                end = future.result()
            valid = isinstance(end, JobEnd) and isinstance(end.exit_code, int | None) and isinstance(end.reason, str)
            if not valid:
                raise PluginError(f"{self.plugin}: the future of a job must give a JobEnd, got {end!r}")
        except GanbenchError as error:  # for this job alone
            end = JobEnd(None, str(error))
        problem = find_problem(end, self.folder.run_directory(cell), self._attempts[cell], self._logs[cell])
        self._record_end(cell, end.exit_code, problem)
        # an error that repeats itself would do so every time
        repeated = problem == self._problems.get(cell) and end.exit_code == ExitCode.FAILED
        self._problems[cell] = problem
        hopeless = end.exit_code in HOPELESS and self._tries[cell] > 0  # in a job of its own
        again = bool(problem) and self._tries[cell] <= self.retries and not hopeless and not repeated
        if not again or problem:
            self._tell(self.on_change, self.statuses[cell])
        return again

    def _record_end(self, cell: str, exit_code: int | None, problem: str | None) -> None:
        update = {"ended_at": now(), "exit_code": exit_code, "problem": problem}
        self.folder.add_attempt(cell, self._attempts[cell].model_copy(update=update), replace=True)
        self.statuses[cell] = read_status(self.folder.path, self.statuses[cell].cell, alive=True)

    def _refreshed(self) -> Iterable[CellStatus]:
        """Return the status of each cell, reading again what those in progress have written."""
        for cell in self._waiting:
            self.statuses[cell] = replace(self.statuses[cell], state=State.QUEUED)
        for job in self._futures.values():
            for cell in job:
                status = self.statuses[cell]
                if status.finished:  # other seeds of its job are not
                    continue
                if len(job) > 1 and has_result(self.folder.run_directory(cell)):
                    self.statuses[cell] = read_status(self.folder.path, status.cell, alive=True)
                    continue
                attempts = status.attempts + (status.state not in IN_PROGRESS)
                self.statuses[cell] = unfinished_status(self.folder.path, status.cell, self._attempts[cell], attempts)
        return self.statuses.values()

    def failed(self) -> list[CellStatus]:
        return [status for status in self.statuses.values() if status.state == State.FAILED]


class RefusedError(GanbenchError):
    """The executor refused a job."""


def is_refused(future: Future[JobEnd]) -> bool:
    return not future.cancelled() and isinstance(future.exception(), RefusedError)


def refused(error: GanbenchError) -> Future[JobEnd]:
    future: Future[JobEnd] = Future()
    future.set_exception(RefusedError(str(error)))
    return future


@dataclass(frozen=True)
class Log:
    """The log of a job."""

    file: Path
    begin: int  # bytes of earlier attempts
    of_cell: str | None = None  # in a job of several cells: whose errors to look for

    def last_error(self) -> str | None:
        """Return the last error message of the attempt, or else its last line; None if there is none."""
        try:
            text = self.file.read_bytes()[self.begin :][-LOG_BYTES:].decode(errors="replace")
        except OSError:
            return None
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if self.of_cell is not None:
            prefix = f"error: {self.of_cell}: "
            lines = [line.replace(prefix, "error: ", 1) for line in lines if line.startswith(prefix)]
        errors = [line for line in lines if re.match(r"(error|\w*(Error|Exception)): ", line)]
        return next(reversed(errors or lines), None)


def find_problem(end: JobEnd, directory: Path, attempt: Attempt, log: Log) -> str | None:
    """Return why an attempt did not finish the run; None if it did. The result file decides, then the exit code."""
    file = directory / RESULT
    try:
        result = read_result(file)
    except UsageError as error:
        return str(error)
    if result and result.is_final:
        return None
    if end.reason:
        return end.reason
    if end.exit_code is not None and end.exit_code < 0:
        return f"killed by {signal_name(-end.exit_code)}"
    stopped_early = end.exit_code in HOPELESS  # before it wrote a result
    if not stopped_early and result and result.message and file.stat().st_mtime >= attempt.submitted_at.timestamp():
        return result.message
    return log.last_error() or f"exit code {end.exit_code}"
