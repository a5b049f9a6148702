"""The contract of executors."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from ganbench.plugin.jobs import Executor, Job, JobEnd
from ganbench.plugin.registrations import ExecutorContext, ExecutorPlugin

from .contract import PluginContract

TICK_SECONDS = 0.02


class ExecutorContract(PluginContract):
    """Override `context` if the executor needs a folder that other machines share."""

    plugin: ClassVar[ExecutorPlugin]
    seconds: ClassVar[float] = 60.0  # limit for all jobs of a test

    def context(self) -> ExecutorContext:
        return ExecutorContext(directory=self.new_folder(), device="cpu")

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """Yield the executor, and shut it down."""
        executor: Executor = self.build()
        try:
            yield executor
        finally:
            executor.shut_down()

    def job(self, code: str) -> Job:
        """Return a job that runs Python code in its own folder."""
        folder, command = self.new_folder(), (sys.executable, "-c", code)
        return Job(folder.name, folder / "run", command, command, folder / "log.txt", folder)

    def test_a_job_runs_in_its_folder_and_prints_to_its_log(self) -> None:
        """The command runs in `working_directory`, and `log` receives its output."""
        job = self.job("open('done', 'w').close(); print('printed')")
        with self.executor() as executor:
            (future,) = executor.submit([job])
            future.result(self.seconds)
        assert (job.working_directory / "done").exists(), "expected a job that runs in its folder, got none"
        assert "printed" in job.log.read_text(), f"expected 'printed' in {job.log.name}, got {job.log.read_text()!r}"

    def test_each_job_has_a_future_with_its_end(self) -> None:
        """`submit` returns a future for each job, in the order of the jobs; its result is a `JobEnd` with the exit code
        of the command, or without one.
        """
        codes = [3, 0]
        with self.executor() as executor:
            futures = executor.submit([self.job(f"raise SystemExit({code})") for code in codes])
            assert len(futures) == len(codes), f"expected {len(codes)} futures, got {len(futures)}"
            ends = [future.result(self.seconds) for future in futures]
        for end, code in zip(ends, codes, strict=True):
            assert isinstance(end, JobEnd), f"expected a JobEnd, got {end!r}"
            assert end.exit_code in (code, None), f"expected the exit code {code}, got {end.exit_code}"

    def test_a_lost_job_affects_no_other(self) -> None:
        """If a job is killed, its future is done, and the other jobs finish."""
        lost = self.job("import os; os.kill(os.getpid(), 9)")
        good = [self.job("open('done', 'w').close()") for _ in range(2)]
        with self.executor() as executor:
            for future in executor.submit([lost, *good]):
                future.result(self.seconds)
        finished = sum((job.working_directory / "done").exists() for job in good)
        assert finished == len(good), f"expected {len(good)} finished jobs next to a killed one, got {finished}"

    def test_shutting_down_ends_all_jobs(self) -> None:
        """When `shut_down` returns, no job is running."""
        job = self.job(
            f"import time; end = time.time() + {self.seconds}; file = open('ticks', 'ab', 0)\n"
            f"while time.time() < end: file.write(b'.'); time.sleep({TICK_SECONDS})"
        )
        ticks = job.working_directory / "ticks"
        with self.executor() as executor:
            executor.submit([job])
            deadline = time.monotonic() + self.seconds
            while not ticks.exists() and time.monotonic() < deadline:
                time.sleep(TICK_SECONDS)
        assert ticks.exists(), f"expected a job that begins within {self.seconds:g} s, got none"
        before = ticks.stat().st_size
        time.sleep(10 * TICK_SECONDS)
        assert ticks.stat().st_size == before, "expected a job that was ended, got one that still runs"
