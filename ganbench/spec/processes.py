"""What a spec and a device must be so that a run can be split over several processes, as known before data is loaded.

The last batch of an epoch depends on the data: `training/rank_checks.py` checks it when a run starts.
"""

from __future__ import annotations

import re

from ganbench.errors import UsageError

from .benchmark import BenchmarkSpec
from .sections import EngineOptions, TrainingOptions


def check_processes(spec: BenchmarkSpec, processes: int) -> None:
    """Raise `UsageError` if a run of this spec cannot be split over that many processes."""
    check_engine_mode(spec.engine, processes)
    check_batches(spec.training, processes)


def check_engine_mode(engine: EngineOptions, processes: int) -> None:
    if processes > 1 and engine.mode == "cuda_graph":
        raise UsageError("engine.mode: a run over several processes uses no CUDA graph; use auto or eager")


def check_batches(training: TrainingOptions, processes: int, last: int = 0) -> None:
    """Raise `UsageError` if a batch cannot be split evenly, so that the mean over processes is that over images.

    `last` is the number of images in the last batch of an epoch; 0 if it is complete, or not known yet.
    """
    sizes = {
        "training.batch_size": (training.batch_size, "choose a multiple"),
        "training.generator_batch_size": (training.generator_images, "choose a multiple"),
        "the last batch of an epoch": (last, "skip it with -o training.drop_last=true"),
    }
    for name, (size, remedy) in sizes.items():
        if size % processes:
            raise UsageError(f"{name}: {size} images cannot be split evenly over {processes} processes; {remedy}")


def check_device(device: str, processes: int) -> None:
    """Raise `UsageError` if this is no name of a device, on any machine, or processes cannot share the device."""
    if not re.fullmatch(r"auto|(cpu|cuda)(:\d+)?", device):
        raise UsageError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    if processes > 1 and ":" in device:
        raise UsageError(f"--device {device}: torchrun gives each process its own GPU; use --device cuda or cpu")
