"""What all executors check about the resources of a job, and the number of threads of its runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ganbench import GanbenchWarning, Job, UsageError, atomic_write

THREADS = "threads.txt"  # in the executor's folder


def require_gpus(executor: str, jobs: Sequence[Job], gpus: float, remedy: str) -> None:
    """Raise `UsageError` if a job of several processes gets fewer `gpus`; without any, all train on the CPU."""
    for job in jobs:
        if job.processes > 1 and 0 < gpus < job.processes:
            raise UsageError(
                f"executor {executor}: {job.name} runs in {job.processes} processes, each on a GPU of its own, but "
                f"would get {gpus:g} GPU{'s' * (gpus != 1)}; {remedy}"
            )


def settled_threads(executor: str, folder: Path, cores: int, remedy: str, wanted: int | None = None) -> int:
    """Return the number of threads with which the suite began on this executor.

    Then it was the one wanted, or else that of OMP_NUM_THREADS, or else one for each core.

    The number of threads changes the rounding of sums: with another one, runs would neither resume nor be comparable.
    Warns if the runs of now have fewer `cores`. Raises `UsageError` if another number is wanted now.
    """
    file = folder / THREADS
    if not file.exists():
        with atomic_write(file) as part:
            part.write_text(str(wanted or Job.given_threads() or cores))
    threads = int(file.read_text())
    if wanted not in (None, threads):
        raise UsageError(
            f"executor {executor}: threads={wanted}: this suite began with {threads}, and another number changes the "
            "rounding of sums; leave it out, or start in another folder with --out"
        )
    if threads > cores:
        warnings.warn(
            f"executor {executor}: runs have {threads} threads, with which the suite began, but only {cores} "
            f"core{'s' * (cores != 1)} each, so they are slow; {remedy}, or start in another folder with --out",
            GanbenchWarning,
            stacklevel=2,
        )
    return threads
