"""The roofline: the work of a step, and the peak performance of the device."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from ganbench.data.batches import Inputs
from ganbench.plugin.interfaces import PLAYERS
from ganbench.results.throughput import Roofline
from ganbench.runtime.precision import Precision

from .engines import EagerEngine
from .step import TrainingStep
from .timing import synchronize

MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}
COPIED_BYTES = {"cpu": 2**27, "cuda": 2**29}  # well beyond any cache
MEASURED_SECONDS = 0.2


class NoModules(ModuleTracker):
    """Tracks no modules: torch's hooks for that prevent gradients with respect to images, which penalties need."""

    def __enter__(self) -> NoModules:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def count_flops(eager: EagerEngine, inputs: Inputs) -> float:
    """Return the FLOPs per image of eager steps, as torch counts them: of matrix products and convolutions.

    It is the mean over all variants of the step, weighted by their frequency.
    """
    flops = 0.0
    for at, share in eager.step.penalties.first_positions.items():
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = NoModules()
        with counter:
            eager(inputs, at)
        flops += share * counter.get_total_flops() / len(inputs[0])
    return flops


def count_state_bytes(step: TrainingStep) -> int:
    """Return the bytes that every step must move: weights, gradients and optimizer state, each read and written once.

    Call it after the first step, when the optimizers have state.
    """
    count = 0
    for player in PLAYERS:
        count += 2 * sum(parameter.nbytes for parameter in step.trainable[player])
    for optimizer in step.optimizers.values():
        for state in optimizer.state.values():
            count += sum(value.nbytes for value in state.values() if isinstance(value, Tensor))
    return 2 * count


def measure_roofline(
    flops_per_image: float, state_bytes_per_step: int, precision: Precision, device: torch.device
) -> Roofline:
    """Measure the device's peak at matrix products and at copying; call it within `float32_precision(precision)`."""
    size = MATRIX_SIZE[device.type]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rng = torch.Generator(device).manual_seed(0)  # its own, so that training's are not advanced
    left, right, product = (torch.randn(size, size, generator=rng, device=device).to(dtype) for _ in range(3))
    source = torch.ones(COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return Roofline(
        flops_per_image=flops_per_image,
        state_bytes_per_step=state_bytes_per_step,
        matmul_flops_per_second=2 * size**3 / best_seconds(lambda: torch.mm(left, right, out=product), device),
        copy_bytes_per_second=2 * source.nbytes / best_seconds(lambda: target.copy_(source), device),
    )


def why_unreliable(
    roofline: Roofline, batch_size: int, step_seconds: float, disturbed_by: str | None = None
) -> str | None:
    """Return why the measured peaks are unreliable, given the duration of steps; None if they seem reliable."""
    if step_seconds < roofline.min_step_seconds(batch_size):
        return (
            "training was faster than the roofline measured afterwards: either the machine was busy during that "
            "measurement, or all data of a step fit in the CPU's caches"
        )
    return disturbed_by


def best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the shortest time of the calls that fit into `MEASURED_SECONDS`, after one that is not timed."""
    work()
    shortest = float("inf")
    deadline = perf_counter() + MEASURED_SECONDS
    while shortest == float("inf") or perf_counter() < deadline:
        synchronize(device)
        start = perf_counter()
        work()
        synchronize(device)
        shortest = min(shortest, perf_counter() - start)
    return shortest
