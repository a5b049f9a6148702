"""Executors that break a rule."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ganbench import ExecutorPlugin, Job, JobEnd, JobProcess

from .broken import Broken


class OneByOne:
    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.processes: list[JobProcess] = []

    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        return [self.pool.submit(self.run, job) for job in jobs]

    def run(self, job: Job) -> JobEnd:
        self.processes.append(JobProcess(job))
        return JobEnd(self.processes[-1].run())

    def shut_down(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            process.stop()
        self.pool.shutdown()


class Silent(OneByOne):
    """Prints the output of jobs nowhere."""

    def run(self, job: Job) -> JobEnd:
        job.log.touch()
        return JobEnd(subprocess.run(job.command, cwd=job.working_directory, capture_output=True).returncode)


class Shuffled(OneByOne):
    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        return super().submit(jobs)[::-1]


class AllOrNothing(OneByOne):
    """Drops all jobs after one that fails."""

    failed = False

    def run(self, job: Job) -> JobEnd:
        end = JobEnd(None, "dropped") if self.failed else super().run(job)
        self.failed |= end.exit_code != 0
        return end


class Forgetful(OneByOne):
    def shut_down(self) -> None:
        self.pool.shutdown(wait=False)


def executor(make: type[OneByOne]) -> ExecutorPlugin:
    def build(options: Any, context: Any) -> OneByOne:
        return make()

    return ExecutorPlugin(name="mine", summary="One job at a time", build=build)


SOUND = executor(OneByOne)
BROKEN = {
    "a job runs in its folder and prints to its log": Broken(executor(Silent), "expected 'printed' in log.txt, got ''"),
    "each job has a future with its end": Broken(executor(Shuffled), "expected the exit code 3, got 0"),
    "a lost job affects no other": Broken(
        executor(AllOrNothing), "expected 2 finished jobs next to a killed one, got 0"
    ),
    # the job that still runs ends by itself after these seconds
    "shutting down ends all jobs": Broken(executor(Forgetful), "got one that still runs", {"seconds": 2.0}),
}
