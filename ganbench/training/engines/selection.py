"""Selects and verifies the engine of a run."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

from ganbench.data.batches import Inputs
from ganbench.errors import GanbenchError, UsageError
from ganbench.results.throughput import EngineRecord
from ganbench.spec.sections import EngineOptions
from ganbench.training.state.leaves import distance, first_difference
from ganbench.training.step import TrainingStep

from .capture import CudaCapturer, GraphCapturer
from .eager import EagerEngine, Engine
from .graph import GraphCaptureError, GraphEngine, as_graph_capture_error
from .verification import Verification

VERIFIED_STEPS = 3  # of every run with a CUDA graph, unless --verify-engine gives another number
MAX_NONDETERMINISM = 1e-3  # relative difference between eager runs; more is not explained by the order of additions
MAX_ERROR_RATIO = 10  # of the difference between graph and eager engine to that between eager runs


def check_engine(options: EngineOptions, device: torch.device, verify_steps: int | None) -> None:
    """Raise `UsageError` if the device does not support the options."""
    if options.mode == "cuda_graph" and device.type != "cuda":
        raise UsageError("engine.mode: cuda_graph needs a CUDA device; use eager, or auto")
    if verify_steps is not None and (options.mode == "eager" or device.type != "cuda"):
        raise UsageError("--verify-engine compares a CUDA graph with the eager engine, but this run uses no CUDA graph")


def choose_engine(
    eager: EagerEngine,
    options: EngineOptions,
    examples: list[Inputs],
    restore: Callable[[], None],
    verify_steps: int | None,
    total_images: int,
) -> tuple[Engine, EngineRecord]:
    """Return the engine that the spec requests; for "auto", the fastest whose results equal the eager engine's.

    `examples` has inputs of each batch size; `restore` restores the state at the start of training. `verify_steps` is
    the number of steps to compare if verification was requested, else None; `total_images` are those of the run. Raises
    `GanbenchError` if a CUDA graph or verification was requested, and the step cannot be captured or its results
    differ.
    """
    if not eager.batches.share.ranks.alone:
        return eager, EngineRecord(name="eager", requested=options.mode)
    capturer = make_capturer(eager.step, eager.batches.flips)
    if capturer is None or options.mode == "eager":
        return eager, EngineRecord(name="eager", requested=options.mode)
    try:
        steps = verify_steps or VERIFIED_STEPS
        with as_graph_capture_error():
            graph = GraphEngine(eager, capturer, examples)
            verification = Verification(eager, examples, steps, restore, total_images)
            nondeterminism = verify(graph, verification, exactly=verify_steps is not None)
    except GraphCaptureError as error:
        if options.mode == "cuda_graph" or verify_steps is not None:
            raise GanbenchError(f"engine cuda_graph: {error}; -o engine.mode=eager runs without it") from error
        reason = str(error)
    else:
        record = EngineRecord(
            name="cuda_graph", requested=options.mode, verified_steps=steps, eager_nondeterminism=nondeterminism
        )
        return graph, record
    free_failed_capture(eager.step.latents.device)
    return eager, EngineRecord(name="eager", requested=options.mode, fallback_reason=reason)


def free_failed_capture(device: torch.device) -> None:
    """Free a failed capture: a reference cycle of the error's frames holds it, with all activations of its step."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def make_capturer(step: TrainingStep, flips: torch.Generator | None) -> GraphCapturer | None:
    """Return a capturer for the step's device; None if there is none. `flips` is the rng of the batches' flips."""
    device = step.latents.device
    if device.type != "cuda":
        return None
    on_device = [rng for rng in (*step.rngs.values(), flips) if rng is not None and rng.device.type == "cuda"]
    return CudaCapturer(device, [*on_device, torch.cuda.default_generators[device.index]])


def verify(graph: Engine, verification: Verification, exactly: bool) -> float:
    """Return the relative difference between eager runs; 0 if the graph's results are bitwise identical to one.

    Some operations on a GPU add in no fixed order. If a step has such operations, the difference between graph and
    eager engine may be of the same magnitude as that between eager runs, one of them with a fixed order; with
    `exactly`, none is allowed. Raises `GraphCaptureError` if it is larger.
    """
    problem = verification.changing_python_state()
    if problem is not None:
        raise GraphCaptureError(problem)
    expected = verification.trace(verification.eager)
    actual = verification.trace(graph)
    difference = first_difference(expected, actual)
    if difference is None:
        return 0.0
    nondeterminism = distance(expected, verification.trace(verification.eager))
    if not exactly:
        nondeterminism = max(nondeterminism, distance(expected, verification.trace_in_fixed_order()))
    if nondeterminism > (0.0 if exactly else MAX_NONDETERMINISM):
        names = ", ".join(verification.unordered_operations())
        cause = f"; on a GPU, these add in no fixed order: {names}" if names else ""
        raise GraphCaptureError(
            f"cannot verify the CUDA graph: eager execution is nondeterministic ({difference} differs){cause}"
        )
    if distance(expected, actual) > MAX_ERROR_RATIO * nondeterminism:
        raise GraphCaptureError(f"a captured step gives other results than an eager one: {difference} differs")
    return nondeterminism
