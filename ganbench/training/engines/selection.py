"""Which engine a run gets, and the proof that it may."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

from ganbench.data.batches import Inputs
from ganbench.errors import GanbenchError, UsageError
from ganbench.results.schema import EngineRecord
from ganbench.spec.benchmark import EngineOptions
from ganbench.training.step import TrainingStep

from .capture import CudaCapturer, GraphCapturer
from .eager import EagerEngine, Engine
from .graph import GraphCaptureError, GraphEngine, as_graph_capture_error
from .verification import Verification, distance, first_difference

VERIFIED_STEPS = 3  # of every recorded run, unless --verify-engine asks for more
MAX_NONDETERMINISM = 1e-3  # relative difference between two eager steps; more is not another order of additions
MAX_ERROR_RATIO = 10  # a graph may be this much farther from the eager engine than that is from itself


def check_engine(options: EngineOptions, device: torch.device, verify_steps: int | None) -> None:
    """Raise `UsageError` for what the device cannot do, before anything is prepared."""
    if options.mode == "cuda_graph" and device.type != "cuda":
        raise UsageError("engine.mode: cuda_graph needs a CUDA device; use eager, or auto")
    if verify_steps is not None and (options.mode == "eager" or device.type != "cuda"):
        raise UsageError("--verify-engine compares a graph with the eager engine, and this run has no graph")


def choose_engine(
    eager: EagerEngine,
    options: EngineOptions,
    examples: list[Inputs],
    restore: Callable[[], None],
    verify_steps: int | None,
) -> tuple[Engine, EngineRecord]:
    """The engine that the spec asks for, or the fastest that gives what the eager one gives.

    `examples` has inputs of each batch size that will come; `restore` brings the training back to its start.
    `verify_steps` is how many steps both engines take for comparison, where someone asked for it. Raises
    `GanbenchError` if a graph was asked for by name, or a verification, and the step cannot be recorded or comes out
    differently.
    """
    capturer = make_capturer(eager.step, eager.batches.flips)
    if capturer is None or options.mode == "eager":
        return eager, EngineRecord(name="eager", requested=options.mode)
    try:
        steps = verify_steps or VERIFIED_STEPS
        with as_graph_capture_error():
            graph = GraphEngine(eager, capturer, examples)
            scatter = verify(graph, Verification(eager, examples, steps, restore), exactly=verify_steps is not None)
    except GraphCaptureError as error:
        if options.mode == "cuda_graph" or verify_steps is not None:
            raise GanbenchError(f"engine graph: {error}; -o engine.mode=eager runs without it") from error
        reason = str(error)
    else:
        record = EngineRecord(
            name="cuda_graph", requested=options.mode, verified_steps=steps, eager_nondeterminism=scatter
        )
        return graph, record
    free_what_errors_hold(eager.step.latents.device)
    return eager, EngineRecord(name="eager", requested=options.mode, fallback_reason=reason)


def free_what_errors_hold(device: torch.device) -> None:
    """Free a failed recording: an error's frames hold it in a circle, with all activations of its step."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def make_capturer(step: TrainingStep, flips: torch.Generator | None) -> GraphCapturer | None:
    """What captures work on the step's device; None where nothing can. `flips` is the batches' rng."""
    device = step.latents.device
    if device.type != "cuda":
        return None
    on_device = [rng for rng in (*step.rngs.values(), flips) if rng is not None and rng.device.type == "cuda"]
    return CudaCapturer(device, [*on_device, torch.cuda.default_generators[device.index]])


def verify(graph: Engine, verification: Verification, exactly: bool) -> float:
    """How far the eager engine is from itself: 0 where it repeats itself, and then the graph gave the same bits.

    Some operations on a GPU add up in no fixed order. Where the step has such, the graph has to be about as near to the
    eager engine as that is to itself; `exactly` allows none. Raises `GraphCaptureError` if the graph is farther.
    """
    moving = verification.changing_python_state()
    if moving is not None:
        raise GraphCaptureError(moving)
    expected = verification.trace(verification.eager)
    actual = verification.trace(graph)
    difference = first_difference(expected, actual)
    if difference is None:
        return 0.0
    scatter = distance(expected, verification.trace(verification.eager))
    if scatter > (0.0 if exactly else MAX_NONDETERMINISM):
        raise GraphCaptureError(
            f"the eager engine does not repeat itself, so nothing can be proved: {difference} differs"
        )
    if distance(expected, actual) > MAX_ERROR_RATIO * scatter:
        raise GraphCaptureError(f"a recorded step does not give what the eager one gives: {difference} differs")
    return scatter
