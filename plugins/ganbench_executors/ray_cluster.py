"""Runs jobs as tasks of a Ray cluster. Ray runs a task again, on another node, if its node or worker dies."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import ray

from ganbench import ExecutorContext, GanbenchError, Job, JobEnd, JobProcess

from . import RayOptions
from .resources import require_gpus, settled_threads

CONNECT_SECONDS = 10
STOP_SECONDS = 90  # for checkpoints, before the remaining tasks are killed
SHARED_WITH = "possibly other tasks on the node"


class RayExecutor:
    """Submits one task for each job to a cluster that is there already."""

    def __init__(self, options: RayOptions, context: ExecutorContext) -> None:
        try:
            require_reachable(options.address)
            ray.init(address=options.address, logging_level=logging.WARNING, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), "").rstrip(".")
            raise GanbenchError(
                f"executor ray: no Ray cluster at address '{options.address}': {reason}. Start one with `ray start "
                "--head`, give its address with -x address=HOST:PORT, or use --executor local"
            ) from None
        self.threads = settled_threads("ray", context.directory, max(1, int(options.cpus)), "set -x cpus=N")
        needs: dict[str, Any] = {"num_cpus": options.cpus, "num_gpus": options.gpus, "max_retries": options.retries}
        if options.memory_gib is not None:
            needs["memory"] = int(options.memory_gib * 2**30)
        self.task: Any = ray.remote(**needs)(run_job)
        self.options = options
        self.tasks: dict[Future[JobEnd], Any] = {}

    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        require_gpus("ray", jobs, self.options.gpus, "set -x gpus=N")
        return [self._submit(job) for job in jobs]

    def _submit(self, job: Job) -> Future[JobEnd]:
        task, end = self.task.remote(job, job.thread_variables(self.threads)), Future[JobEnd]()
        self.tasks[end] = task

        def ended(result: Future[int]) -> None:
            error = result.exception()
            end.set_result(JobEnd(None, describe(error)) if error else JobEnd(result.result()))

        task.future().add_done_callback(ended)
        return end

    def shut_down(self) -> None:
        running = [task for end, task in self.tasks.items() if not end.done()]
        for task in running:
            ray.cancel(task)
        if running:
            ray.wait(running, num_returns=len(running), timeout=STOP_SECONDS)
        ray.shutdown()


def require_reachable(address: str) -> None:
    """Raise `OSError` if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:  # not ray://HOST:PORT
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


def run_job(job: Job, environment: dict[str, str]) -> int:
    """Run a job within a Ray task. Ray cancels a task by raising `KeyboardInterrupt` in it."""
    process = JobProcess(job)
    try:
        return process.run(environment, shared_with=SHARED_WITH)
    except KeyboardInterrupt:
        process.stop_and_wait()
        raise


def describe(error: BaseException) -> str:
    """Return the cause of a lost task in one line; Ray's messages are long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Ray: {type(error).__name__}: {lines[0] if lines else 'no message'}"
