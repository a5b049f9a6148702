"""Runs jobs on a Slurm cluster through submitit, one Slurm job or one task of a job array for each."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit

from ganbench import ExecutorContext, GanbenchError, Job, JobEnd, JobProcess, atomic_write

from . import SlurmOptions
from .resources import require_gpus, settled_threads

JOBS = "jobs.json"  # from cell to Slurm's id, so that a later command finds jobs that are still in the queue
OVER = re.compile("COMPLETED|CANCELLED|FAILED|TIMEOUT|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|OUT_OF_MEMORY|REVOKED")
IN_QUEUE = re.compile(r"(\d\S*) ([A-Z_]+)")  # a job's id and state
WARNING = signal.SIGUSR2  # by which submitit learns of preemption and of the time limit
STOP_SECONDS = 90  # from scancel to the end of waiting: Slurm itself kills after KillWait, 30 s by default


class RunOnNode:
    """What a Slurm job runs. Slurm starts it again when it requeues the job, and the run is then resumed."""

    def __init__(self, job: Job, environment: dict[str, str], shared_with: str) -> None:
        self.job, self.environment, self.shared_with = job, environment, shared_with

    def __call__(self) -> int:
        self.process = JobProcess(self.job)
        # Slurm may signal only this process, with SIGTERM when it cancels the job, or also the run, with the warning
        before = signal.signal(signal.SIGTERM, lambda *_: self.process.stop())
        try:
            return self.process.run(self.environment, shared_with=self.shared_with, ignored_signals=[WARNING])
        finally:
            signal.signal(signal.SIGTERM, before)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Called by submitit before preemption and timeouts: stop after a checkpoint, and be requeued."""
        self.process.stop_and_wait()
        return submitit.helpers.DelayedSubmission(RunOnNode(self.job, self.environment, self.shared_with))


class SlurmExecutor:
    """Submits jobs, and asks Slurm now and then which of them have ended."""

    def __init__(self, options: SlurmOptions, context: ExecutorContext) -> None:
        self.options = options
        self.jobs_file = context.directory / JOBS
        self.futures: dict[str, list[Future[JobEnd]]] = {}  # by Slurm's id
        self.changed = threading.Lock()
        self.stopping = threading.Event()
        try:
            self.submitter = submitit.SlurmExecutor(context.directory / "submitit", max_num_timeout=options.timeouts)
        except RuntimeError:
            raise GanbenchError(
                "executor slurm: srun not found: this machine is not part of a Slurm cluster; run the suite on a login "
                "node, or with --executor local"
            ) from None
        self.submitter.update_parameters(**parameters(options))
        self.threads = settled_threads("slurm", context.directory, options.cpus, "set -x cpus=N")
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        require_gpus("slurm", jobs, self.options.gpus, "set -x gpus=N")
        futures: dict[str, Future[JobEnd]] = {job.name: Future() for job in jobs}
        known, alive = read_jobs(self.jobs_file), self._queue()
        before = {job: {known[cell] for cell in job.cells if known.get(cell) in alive} for job in jobs}
        for job, numbers in before.items():
            for number in numbers:
                self._follow(number, futures[job.name])
        new = [job for job, numbers in before.items() if not numbers]
        for part in [new] if new and self.options.array else [[job] for job in new]:
            ids = self._submit(part)
            for job, number in ids.items():
                self._follow(number, futures[job.name])
            self._remember({cell: number for job, number in ids.items() for cell in job.cells})
        return list(futures.values())

    def _follow(self, number: str, future: Future[JobEnd]) -> None:
        """Watch a job of Slurm, and cancel it when the suite stops.

        An earlier command may have submitted the cells of a job apart, or those of several jobs together: a future ends
        with its first job, and several futures may have the same.
        """
        with self.changed:
            self.futures.setdefault(number, []).append(future)

    def _remember(self, ids: Mapping[str, str]) -> None:
        """Store the ids of jobs in Slurm, by cell, for later commands."""
        with atomic_write(self.jobs_file) as part:
            part.write_text(json.dumps({**read_jobs(self.jobs_file), **ids}, indent=2))

    def _submit(self, jobs: Sequence[Job]) -> dict[Job, str]:
        """Submit jobs, several as an array, and return their ids in Slurm."""
        shared_with = "" if self.options.exclusive else "possibly other jobs on the node"
        runs = [RunOnNode(job, job.thread_variables(self.threads), shared_with) for job in jobs]
        try:
            submitted = self.submitter.submit_array(runs)
            return {job: str(each.job_id) for job, each in zip(jobs, submitted, strict=True)}
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise GanbenchError(f"executor slurm: Slurm refused the jobs: {last_line(str(error))}") from None

    def _watch(self) -> None:
        while not self.stopping.wait(self.options.poll_seconds):
            with self.changed:
                waiting = list(self.futures)
            if waiting:
                try:
                    self._end(set(waiting) - self._queue())
                except GanbenchError:  # Slurm's controller may be away or in maintenance for a while
                    pass
                except Exception as error:  # it must not end this thread, because the suite would wait forever
                    self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End the attempts of all jobs with an error; when they are submitted again, those in the queue are found."""
        with self.changed:
            futures, self.futures = self.futures, {}
        for future in {each for several in futures.values() for each in several if not each.done()}:
            future.set_exception(error)

    def _end(self, numbers: set[str]) -> None:
        with self.changed:
            ended = {number: self.futures.pop(number) for number in numbers}
        for number, futures in ended.items():
            for future in futures:
                if future.done():  # another job of its cells ended before
                    continue
                try:
                    future.set_result(self._describe_end(number))
                except Exception as error:  # of this job alone, such as an unreadable file
                    future.set_exception(error)

    def _describe_end(self, number: str) -> JobEnd:
        """Return the exit code of a job's run, or else why there is none, as far as Slurm still knows."""
        ended: Any = submitit.SlurmJob(folder=self.submitter.folder, job_id=number)
        if not ended.paths.result_pickle.exists():
            return JobEnd(None, why_lost(number, ended.paths.stderr))
        try:
            return JobEnd(ended.result())
        except submitit.core.utils.FailedJobError as error:
            return JobEnd(None, f"Slurm job {number}: {exception_line(str(error))}")

    def _queue(self) -> set[str]:
        """Return the ids of all of the user's jobs that have not ended.

        Raises `GanbenchError` if Slurm fails or prints anything else: what it knows of the jobs is then unknown.
        """
        lines = slurm("squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i %T").splitlines()
        found = [IN_QUEUE.fullmatch(line.strip()) for line in lines]
        if None in found:
            line = lines[found.index(None)]
            raise GanbenchError(f"executor slurm: squeue printed {line!r} instead of a job's id and state")
        return {each[1] for each in found if each and not OVER.match(each[2])}

    def shut_down(self) -> None:
        with self.changed:
            waiting = set(self.futures)
        try:
            if waiting:
                slurm("scancel", *waiting)
                self._wait_for_end(waiting)
        finally:
            self.stopping.set()
            self.watcher.join()

    def _wait_for_end(self, numbers: set[str]) -> None:
        """Wait until canceled jobs have ended. Raises `GanbenchError` if some do not."""
        for _ in range(STOP_SECONDS):
            if not (left := self._queue() & numbers):
                return
            self.stopping.wait(1)
        raise GanbenchError(f"executor slurm: {', '.join(sorted(left))} are still there {STOP_SECONDS} s after scancel")


def parameters(options: SlurmOptions) -> dict[str, Any]:
    """Return the options as submitit's parameters, which are those of sbatch."""
    given = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "constraint": options.constraint,
        "time": options.minutes,
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus or None,
        "mem": None if options.memory_gib is None else f"{round(1024 * options.memory_gib)}MB",
        "exclusive": options.exclusive or None,
        "array_parallelism": options.jobs,
        "job_name": "ganbench",
        "signal_delay_s": options.warning_seconds,
        "setup": options.setup or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def read_jobs(file: Path) -> dict[str, str]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def slurm(*command: str) -> str:
    """Run a command of Slurm and return what it prints. Raises `GanbenchError` if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        raise GanbenchError(f"executor slurm: {command[0]} not found; run the suite on a login node") from None
    except OSError as error:  # such as too many processes
        raise GanbenchError(f"executor slurm: {command[0]} cannot be started: {error.strerror or error}") from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = last_line(str(error.stderr or error))
        raise GanbenchError(f"executor slurm: {command[0]} failed: {reason}") from None


def why_lost(number: str, log: Path) -> str:
    """Return why a job ended without a result, as far as Slurm still knows, and where its messages are, if any."""
    reason = f"Slurm job {number} is no longer in the queue"
    with suppress(GanbenchError):
        if found := re.search(r"JobState=(\w+)", slurm("scontrol", "show", "job", number)):
            reason = f"Slurm job {number}: {found[1]}"
    return f"{reason}; see {log}" if log.exists() else reason


def exception_line(text: str) -> str:
    """Return the exception of the last traceback in a text: below its header, the first line that is not indented."""
    lines = text.rpartition("Traceback (most recent call last):\n")[2].splitlines()
    return next((line for line in lines if line and not line[0].isspace()), "no message")


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")
