"""The CUDA graph engine: a complete step, from loading its batch to both updates, captured once and replayed.

An eager step of a small GAN launches about two hundred kernels from Python, and a launch may take longer than its work
on the device. A CUDA graph (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-graphs) launches them all at
once. It repeats the same operations on the same memory, so what a step does in Python is frozen at its capture:
`verification` detects state that would change.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ganbench
from ganbench.data.batches import Inputs
from ganbench.errors import causes
from ganbench.plugin.interfaces import Player
from ganbench.runtime.memory import is_out_of_memory
from ganbench.training.penalties import Variant
from ganbench.training.position import Position
from ganbench.training.step_output import StepOutput
from ganbench.training.timing import PHASES, Phase

from .capture import GraphCapturer, Mark
from .eager import EagerEngine, ignore


class GraphCaptureError(Exception):
    """Raised when a step cannot be captured or replayed as a CUDA graph; the message gives the cause."""


@dataclass
class CapturedStep:
    """A captured step of one batch size and variant."""

    inputs: Inputs  # static tensors, from which a replay reads its inputs
    output: StepOutput | None = None  # static tensors, to which a replay writes its output
    marks: list[Mark] = field(default_factory=list)  # its start, then the ends of its phases
    replay: Callable[[], None] = lambda: None


Key = tuple[int, Variant]  # the images of a step, and the penalties that are due in it


class GraphEngine:
    """Replays captured steps: one for each batch size and each combination of penalties that are due.

    A captured step writes to the tensors of the optimizers' state at its capture. Restoring that state, after a warm-up
    or from a checkpoint, replaces them or, before a first step, removes them. Then one step is taken eagerly, and the
    resulting state is copied to the captured tensors. A rare combination that was not captured is also taken eagerly,
    on the same memory.
    """

    def __init__(self, eager: EagerEngine, capturer: GraphCapturer, examples: list[Inputs]) -> None:
        """`examples` has inputs of each batch size. Raises if capturing fails: see `as_graph_capture_error`."""
        self.eager = eager
        self.capturer = capturer
        self._device = eager.step.latents.device
        self._shares = eager.step.penalties.shares
        on_device = [self._on_device(inputs) for inputs in examples]
        works = [(inputs, due) for due in self._shares for inputs in on_device]
        for inputs, due in works:
            self._warm_up(inputs, due)
        self._captured: dict[Key, CapturedStep] = {
            (len(inputs[0]), due): self._capture(inputs, due) for inputs, due in works
        }
        self._full_size = max(size for size, _ in self._captured)
        self._replayed: dict[Variant, CapturedStep] = {}  # with a full batch, since the optimizers' state was restored
        self._optimizer_state: dict[Player, dict[Tensor, dict[str, Any]]] = {
            player: {parameter: dict(state) for parameter, state in optimizer.state.items()}
            for player, optimizer in eager.step.optimizers.items()
        }
        self._restore_count = eager.step.restore_count
        self.graph_memory_bytes = capturer.graph_memory_bytes

    def __call__(self, inputs: Inputs, at: Position, on_phase_end: Callable[[Phase], None] = ignore) -> StepOutput:
        step = self.eager.step
        due = step.begin(at, len(inputs[0]))
        restored = self._restore_count != step.restore_count
        captured = self._captured.get((len(inputs[0]), due))
        if restored or captured is None:
            output = self.eager.work(self._on_device(inputs), due)
            if restored:
                self._copy_to_captured_optimizer_state()
                self._restore_count = step.restore_count
                self._replayed.clear()
            return output
        if len(inputs[0]) == self._full_size:
            self._replayed[due] = captured
        for held, fresh in zip(captured.inputs, inputs, strict=True):
            held.copy_(fresh, non_blocking=True)
        captured.replay()
        assert captured.output is not None
        return captured.output

    def last_phases(self) -> dict[Phase, float]:
        """Return the mean over the last replays of each variant, weighted by its frequency."""
        total = sum(self._shares[due] for due in self._replayed)
        phases: dict[Phase, float] = {}
        for due, captured in self._replayed.items():
            for phase, (start, end) in zip(PHASES, pairwise(captured.marks), strict=True):
                seconds = start.elapsed_time(end) / 1000
                phases[phase] = phases.get(phase, 0.0) + seconds * self._shares[due] / total
        return phases

    def _on_device(self, inputs: Inputs) -> Inputs:
        return tuple(tensor.to(self._device, copy=True) for tensor in inputs)

    def _warm_up(self, inputs: Inputs, due: Variant) -> None:
        self.capturer.warm_up_capture(lambda: self.eager.work(inputs, due))

    def _capture(self, inputs: Inputs, due: Variant) -> CapturedStep:
        captured = CapturedStep(inputs)

        def mark(_: Phase) -> None:
            captured.marks.append(self.capturer.mark())

        def work() -> None:
            captured.marks = [self.capturer.mark()]
            captured.output = self.eager.work(inputs, due, mark)

        captured.replay = self.capturer.capture(work)
        return captured

    def _copy_to_captured_optimizer_state(self) -> None:
        for player, optimizer in self.eager.step.optimizers.items():
            for parameter, held in self._optimizer_state[player].items():
                fresh = optimizer.state[parameter]
                for key, tensor in held.items():
                    if isinstance(tensor, Tensor):
                        tensor.copy_(fresh[key])
                        fresh[key] = tensor


@contextlib.contextmanager
def as_graph_capture_error() -> Iterator[None]:
    """Raise `GraphCaptureError` with the plugin's line that failed for any exception in the block."""
    try:
        yield
    except GraphCaptureError:
        raise
    except Exception as error:
        # ending a failed capture raises another error, and one that names the plugin was raised from the plugin's own
        chain = list(causes(error))
        lines = [(cause, line) for cause in chain if (line := failing_line(cause)) is not None]
        cause, line = lines[-1] if lines else (error, None)
        if any(is_out_of_memory(each) for each in chain):
            raise GraphCaptureError("not enough memory") from error
        what = f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
        raise GraphCaptureError(f"{line}: {what}" if line else what) from error


def failing_line(error: BaseException) -> str | None:
    """Return the innermost line outside torch and ganbench that failed: "hinge.py:12 in discriminator_loss: ..."."""
    ours = [str(Path(str(package.__file__)).parent) for package in (torch, ganbench)]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*ours, "<", contextlib.__file__)):
            return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}"
    return None
