"""What a step must cost, and what the device can do: the two sides of a roofline."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from ganbench.data.batches import Inputs
from ganbench.results.schema import Roofline
from ganbench.runtime.precision import Precision

from .engines import EagerEngine
from .position import Position
from .step import UPDATE_ORDER, TrainingStep
from .timing import synchronize

MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}
COPIED_BYTES = {"cpu": 2**27, "cuda": 2**29}  # well beyond any cache
CEILING_SECONDS = 0.2


class NoModules(ModuleTracker):
    """Tells no module apart: torch's hooks for that keep a loss from taking gradients by images, as penalties do."""

    def __enter__(self) -> NoModules:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def count_flops(eager: EagerEngine, inputs: Inputs) -> float:
    """Floating-point operations per image of eager steps: torch's count of their matrix products and convolutions.

    It is the mean over all variants of the step, weighted by how often each comes.
    """
    penalties, flops = eager.step.penalties, 0.0
    for due, share in penalties.shares.items():
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = NoModules()
        with counter:
            eager(inputs, Position(penalties.first_step(due), 0), on_phase_end=lambda _: None)
        flops += share * counter.get_total_flops() / len(inputs[0])
    return flops


def count_state_bytes(step: TrainingStep) -> int:
    """Bytes that a step cannot help moving: weights, gradients and optimiser state, each read and written once.

    To be called once the optimisers have a state.
    """
    count = 0
    for player in UPDATE_ORDER:
        count += 2 * sum(parameter.nbytes for parameter in step.trainable[player])
    for optimizer in step.optimizers.values():
        for state in optimizer.state.values():
            count += sum(value.nbytes for value in state.values() if isinstance(value, Tensor))
    return 2 * count


def measure_roofline(
    flops_per_image: float, state_bytes_per_step: int, precision: Precision, device: torch.device
) -> Roofline:
    """The device's best at a matrix product and at a copy, within `float32_precision(precision)`."""
    size = MATRIX_SIZE[device.type]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    draw = torch.Generator(device).manual_seed(0)  # training's own streams stay where they are
    left, right, product = (torch.randn(size, size, generator=draw, device=device).to(dtype) for _ in range(3))
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
    """Why a measured ceiling is none, in the light of steps that took so long; None if nothing speaks against it."""
    if step_seconds < roofline.min_step_seconds(batch_size):
        return (
            "training was faster than the ceiling measured after it, as happens on a busy machine and where all that a "
            "step moves fits in the CPU's caches"
        )
    return disturbed_by


def best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest time that the work took, of as many goes as fit; the first does not count."""
    work()
    shortest = float("inf")
    deadline = perf_counter() + CEILING_SECONDS
    while shortest == float("inf") or perf_counter() < deadline:
        synchronize(device)
        start = perf_counter()
        work()
        synchronize(device)
        shortest = min(shortest, perf_counter() - start)
    return shortest
