"""The graph engine: a whole step, from the gathering of its batch to both updates, recorded once and replayed.

An eager step of a small GAN is some two hundred launches from Python, each of which may cost more than its work on the
device. A CUDA graph (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-graphs) launches them all at once. It
repeats the very same operations on the very same memory, so whatever a step does in Python is frozen as it was when it
was recorded: `verification` looks for that.
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
from ganbench.training.step import StepOutput
from ganbench.training.timing import PHASES, Phase

from .eager import EagerEngine
from .recorder import Mark, Recorder


class GraphCaptureError(Exception):
    """A step that cannot be replayed; the message says which call broke it."""


@dataclass
class CapturedStep:
    """A step of one size and variant, captured."""

    inputs: Inputs  # where a replay reads its batch's inputs
    output: StepOutput | None = None  # where it leaves its report
    marks: list[Mark] = field(default_factory=list)  # its start, then the ends of its phases
    replay: Callable[[], None] = lambda: None


Key = tuple[int, Variant]  # the images of a step, and the penalties that are due in it


class GraphEngine:
    """Replays captured steps: one for each size, and for each combination of penalties that are due.

    A captured step writes to the optimizers' state where it lay at the time. Once that state has been restored, as
    after a warm-up or from a checkpoint, it lies elsewhere or, before a first step, nowhere: then one step is taken
    eagerly, and the state it leaves is moved to where the captured steps have it. A rare combination that was not
    captured is taken eagerly as well, on the same memory.
    """

    def __init__(self, eager: EagerEngine, recorder: Recorder, examples: list[Inputs]) -> None:
        """`examples` has inputs of each size. Whatever cannot be captured raises: see `as_graph_capture_error`."""
        self.eager = eager
        self.recorder = recorder
        self._device = eager.step.latents.device
        self._shares = eager.step.penalties.shares
        on_device = [self._on_device(inputs) for inputs in examples]
        works = [(inputs, due) for due in self._shares for inputs in on_device]
        for inputs, due in works:
            self._rehearse(inputs, due)
        self._captured: dict[Key, CapturedStep] = {
            (len(inputs[0]), due): self._capture(inputs, due) for inputs, due in works
        }
        self._whole = max(size for size, _ in self._captured)
        self._replayed: dict[Variant, CapturedStep] = {}  # whole steps, since the optimizers' state was restored
        self._optimizer_state: dict[Player, dict[Tensor, dict[str, Any]]] = {
            player: {parameter: dict(state) for parameter, state in optimizer.state.items()}
            for player, optimizer in eager.step.optimizers.items()
        }
        self._restore_count = eager.step.restore_count
        self.hidden_bytes = recorder.working_bytes

    def __call__(self, inputs: Inputs, at: Position, on_phase_end: Callable[[Phase], None]) -> StepOutput:
        step = self.eager.step
        due = step.begin(at, len(inputs[0]))
        restored = self._restore_count != step.restore_count
        captured = self._captured.get((len(inputs[0]), due))
        if restored or captured is None:
            output = self.eager.work(self._on_device(inputs), due, on_phase_end=lambda _: None)
            if restored:
                self._take_over_optimizer_state()
                self._restore_count = step.restore_count
                self._replayed.clear()
            return output
        if len(inputs[0]) == self._whole:
            self._replayed[due] = captured
        for held, fresh in zip(captured.inputs, inputs, strict=True):
            held.copy_(fresh, non_blocking=True)
        captured.replay()
        assert captured.output is not None
        return captured.output

    def last_phases(self) -> dict[Phase, float]:
        """The mean over the last replays of each variant, weighted by how often it comes."""
        total = sum(self._shares[due] for due in self._replayed)
        phases: dict[Phase, float] = {}
        for due, captured in self._replayed.items():
            for phase, (start, end) in zip(PHASES, pairwise(captured.marks), strict=True):
                seconds = start.elapsed_time(end) / 1000
                phases[phase] = phases.get(phase, 0.0) + seconds * self._shares[due] / total
        return phases

    def _on_device(self, inputs: Inputs) -> Inputs:
        return tuple(tensor.to(self._device, copy=True) for tensor in inputs)

    def _rehearse(self, inputs: Inputs, due: Variant) -> None:
        self.recorder.rehearse(lambda: self.eager.work(inputs, due, on_phase_end=lambda _: None))

    def _capture(self, inputs: Inputs, due: Variant) -> CapturedStep:
        captured = CapturedStep(inputs)

        def mark(_: Phase) -> None:
            captured.marks.append(self.recorder.mark())

        def work() -> None:
            captured.marks = [self.recorder.mark()]
            captured.output = self.eager.work(inputs, due, mark)

        captured.replay = self.recorder.record(work)
        return captured

    def _take_over_optimizer_state(self) -> None:
        for player, optimizer in self.eager.step.optimizers.items():
            for parameter, held in self._optimizer_state[player].items():
                fresh = optimizer.state[parameter]
                for key, tensor in held.items():
                    if isinstance(tensor, Tensor):
                        tensor.copy_(fresh[key])
                        fresh[key] = tensor


@contextlib.contextmanager
def as_graph_capture_error() -> Iterator[None]:
    """Whatever is raised in the block is `GraphCaptureError`, with the plugin's line that it came from."""
    try:
        yield
    except GraphCaptureError:
        raise
    except Exception as error:
        # ending a broken recording raises anew, and an error that names the plugin was raised from the plugin's own
        chain = list(causes(error))
        lines = [(cause, line) for cause in chain if (line := breaking_line(cause)) is not None]
        cause, line = lines[-1] if lines else (error, None)
        if any(is_out_of_memory(each) for each in chain):
            raise GraphCaptureError("there is not enough memory for it") from error
        what = f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
        raise GraphCaptureError(f"{line}: {what}" if line else what) from error


def breaking_line(error: BaseException) -> str | None:
    """The innermost line outside torch and ganbench that led to the error: "hinge.py:12 in discriminator_loss: ..."."""
    ours = [str(Path(str(package.__file__)).parent) for package in (torch, ganbench)]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*ours, "<", contextlib.__file__)):
            return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}"
    return None
