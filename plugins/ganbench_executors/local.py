"""Runs jobs on this machine: a queue, and shares of the CPU cores and GPUs so that runs do not slow each other down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue

from ganbench import ExecutorContext, Job, JobEnd, JobProcess

SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
THREADS = "threads.txt"


@dataclass(frozen=True)
class Share:
    """The part of the machine that one job may use."""

    cpus: tuple[int, ...]  # empty: all, because there are more jobs than cores
    environment: dict[str, str]


class LocalExecutor:
    """Runs up to `jobs` jobs at once, each on its own share of the machine."""

    def __init__(self, jobs: int, threads: int | None, context: ExecutorContext) -> None:
        cores = physical_cores()
        threads = remembered_threads(context.directory / THREADS, threads or max(1, len(cores) // jobs))
        self.shared_with = f"up to {jobs - 1} other runs of the suite" if jobs > 1 else ""
        self.shares: SimpleQueue[Share] = SimpleQueue()
        gpus = visible_gpus() if context.device in ("auto", "cuda") else []
        for cpus, gpu in zip(split(cores, jobs), split_gpus(gpus, jobs), strict=True):
            self.shares.put(Share(cpus, {"OMP_NUM_THREADS": str(threads), **gpu}))
        self.pool = ThreadPoolExecutor(jobs)
        self.processes: set[JobProcess] = set()

    def submit(self, jobs: Sequence[Job]) -> list[Future[JobEnd]]:
        return [self.pool.submit(self.run, job) for job in jobs]

    def run(self, job: Job) -> JobEnd:
        """Run a job on the next free share, in a thread of the pool."""
        share, process = self.shares.get(), JobProcess(job)
        self.processes.add(process)
        try:
            return JobEnd(process.run(share.environment, share.cpus, self.shared_with))
        finally:
            self.processes.discard(process)
            self.shares.put(share)

    def shut_down(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self.processes):
            process.stop()
        self.pool.shutdown()


def remembered_threads(file: Path, threads: int) -> int:
    """Return the number of threads with which the suite began.

    The number of threads changes the rounding of sums: with another one, runs would neither resume nor be comparable.
    """
    if "OMP_NUM_THREADS" in os.environ:
        threads = int(os.environ["OMP_NUM_THREADS"])
    if not file.exists():
        file.write_text(str(threads))
    return int(file.read_text())


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
    bounds = [len(cores) * job // jobs for job in range(jobs + 1)]
    return [tuple(cpu for core in cores[start:end] for cpu in core) for start, end in pairwise(bounds)]


def split_gpus(gpus: Sequence[str], jobs: int) -> list[dict[str, str]]:
    """Return the variable that selects the GPU of each job, in turn; nothing without GPUs."""
    return [{"CUDA_VISIBLE_DEVICES": gpus[job % len(gpus)]} if gpus else {} for job in range(jobs)]


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that CUDA shows, as CUDA_VISIBLE_DEVICES takes them."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    import pynvml

    try:
        pynvml.nvmlInit()
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
