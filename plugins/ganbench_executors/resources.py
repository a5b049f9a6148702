"""What all executors check about the resources of a job."""

from __future__ import annotations

from collections.abc import Sequence

from ganbench import Job, UsageError


def require_gpus(executor: str, jobs: Sequence[Job], gpus: float, remedy: str) -> None:
    """Raise `UsageError` if a job of several processes gets fewer `gpus`; without any, all train on the CPU."""
    for job in jobs:
        if job.processes > 1 and 0 < gpus < job.processes:
            raise UsageError(
                f"executor {executor}: {job.name} runs in {job.processes} processes, each on a GPU of its own, but "
                f"would get {gpus:g} GPU{'s' * (gpus != 1)}; {remedy}"
            )
