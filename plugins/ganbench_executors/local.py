"""Runs jobs on this machine: a queue, and shares of the CPU cores and GPUs so that runs do not slow each other down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from ganbench import ExecutorContext, Job, JobEnd, JobProcess

from .resources import require_gpus, settled_threads

T = TypeVar("T")
SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True)
class Share:
    """The part of the machine that one job may use."""

    cpus: tuple[int, ...]  # empty: all, because there are more jobs than cores
    threads: int
    gpus: tuple[str, ...]  # empty: there are none, or the runs use none

    def variables(self, job: Job) -> dict[str, str]:
        """Return the environment variables that divide the share among the processes of a job."""
        gpus = {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus[: job.processes])} if self.gpus else {}
        return {**job.thread_variables(self.threads), **gpus}


class LocalExecutor:
    """Runs up to `jobs` jobs at once, each on its own share of the machine."""

    def __init__(self, jobs: int, threads: int | None, context: ExecutorContext) -> None:
        cores = physical_cores()
        threads = settled_threads("local", context.directory, max(1, len(cores) // jobs), "use fewer --jobs", threads)
        self.shared_with = f"up to {jobs - 1} other run{'s' * (jobs > 2)} of the suite" if jobs > 1 else ""
        self.shares: SimpleQueue[Share] = SimpleQueue()
        gpus = visible_gpus() if context.device in ("auto", "cuda") else []
        for cpus, own in zip(split(cores, jobs), split_gpus(gpus, jobs), strict=True):
            self.shares.put(Share(cpus, threads, own))
        self.gpus_per_job = max(1, len(gpus) // jobs) if gpus else 0
        self.pool = ThreadPoolExecutor(jobs)
        self.processes: set[JobProcess] = set()

    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        require_gpus("local", jobs, self.gpus_per_job, "use fewer --jobs, or --device cpu")
        return [self.pool.submit(self.run, job) for job in jobs]

    def run(self, job: Job) -> JobEnd:
        """Run a job on the next free share, in a thread of the pool."""
        share, process = self.shares.get(), JobProcess(job)
        self.processes.add(process)
        try:
            return JobEnd(process.run(share.variables(job), share.cpus, self.shared_with))
        finally:
            self.processes.discard(process)
            self.shares.put(share)

    def shut_down(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self.processes):
            process.stop()
        self.pool.shutdown()


def physical_cores() -> list[tuple[int, ...]]:
    """Return the CPUs that this process may use, grouped by physical core: hyper-threads share one."""
    if not hasattr(os, "sched_getaffinity"):
        return [(cpu,) for cpu in range(os.cpu_count() or 1)]
    cores: dict[str, list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            core = Path(SIBLINGS.format(cpu)).read_text()
        except OSError:
            core = str(cpu)
        cores.setdefault(core, []).append(cpu)
    return [tuple(cpus) for cpus in cores.values()]


def split(cores: Sequence[tuple[int, ...]], jobs: int) -> list[tuple[int, ...]]:
    """Return the CPUs of each job: neighboring cores, as evenly as possible; no limits if there are too few cores."""
    if jobs == 1 or jobs > len(cores):
        return [()] * jobs
    return [tuple(cpu for core in part for cpu in core) for part in parts(cores, jobs)]


def split_gpus(gpus: Sequence[str], jobs: int) -> list[tuple[str, ...]]:
    """Return the GPUs of each job: an even share of them, or one in turn if there are too few; none without GPUs."""
    if len(gpus) >= jobs:
        return [tuple(part) for part in parts(gpus, jobs)]
    return [(gpus[job % len(gpus)],) if gpus else () for job in range(jobs)]


def parts(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """Return consecutive parts of nearly equal length."""
    bounds = [len(items) * part // count for part in range(count + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that CUDA shows, as CUDA_VISIBLE_DEVICES takes them."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in given.split(",") if name.strip()]
        return list(takewhile(lambda name: name != "-1", names))  # as CUDA reads it: -1 hides all that follow
    import pynvml

    try:
        pynvml.nvmlInit()
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
