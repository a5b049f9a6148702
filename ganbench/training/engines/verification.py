"""Verifies that an engine gives the same results as the eager one from the same state."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ganbench.data.batches import Inputs
from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.attribution import optimizer_path
from ganbench.runtime.values import Identity
from ganbench.training.position import Position
from ganbench.training.state.leaves import Leaves, first_difference, leaves_of, python_values
from ganbench.training.state.python_state import inspect_step
from ganbench.training.state.step_state import snapshot_state

from .eager import EagerEngine, Engine
from .unordered import unordered_operations

DETERMINISTIC: Any = torch.utils.deterministic  # missing in torch's annotations


class Verification:
    """Takes the same steps with different engines and compares all their results.

    For every combination of penalties that are due, the steps are some with the first example, one with each other
    example, and one more with the first.
    """

    def __init__(
        self, eager: EagerEngine, examples: list[Inputs], steps: int, restore: Callable[[], None], total_images: int
    ) -> None:
        """`restore` restores the state from which every engine starts; `total_images` are those of the run."""
        self.eager = eager
        penalties, full_size = eager.step.penalties, len(examples[0][0])
        starts = [penalties.first_step(due) for due in penalties.shares]
        self.sequence = [
            # within the run, as a schedule may have no valid value after its end
            (inputs, Position(start, min(start * full_size, total_images - 1)))
            for start in starts
            for inputs in [examples[0]] * steps + examples[1:] + [examples[0]]
        ]
        self.restore = restore

    def changing_python_state(self) -> str | None:
        """Return which Python state prevents capturing a step, as it changes or cannot be inspected; None if none does.

        Only steps with a full batch are compared, as state may depend on the batch size. A first step may create
        anything except tensors: once the state is restored, they are not the tensors of the captured step any more.
        """
        self.restore()
        initial = python_values(self.eager.step)
        seen = []
        for inputs, at in self.sequence:
            self.eager(inputs, at)
            if inputs is self.sequence[0][0]:
                seen.append(python_values(self.eager.step))
        for path, type_name in inspect_step(self.eager.step).opaque.items():
            return f"{path} is {type_name}, which cannot be inspected for changes by a step"
        for later in seen[1:]:
            if changing := first_difference(seen[0], later):
                return f"{changing} changes in Python from step to step, which a CUDA graph would freeze"
        optimizers = tuple(map(optimizer_path, PLAYERS))
        for path, leaf in seen[0].items():
            is_new = path not in initial and not path.startswith(optimizers)
            if isinstance(leaf, Identity) and leaf.is_tensor and is_new:
                return f"{path} is a tensor that the first step creates, so each training run would have another one"
        return None

    def trace(self, engine: Engine) -> Leaves:
        """Return the output of every step and the state after the last one."""
        self.restore()
        outputs: Leaves = {}
        for number, (inputs, at) in enumerate(self.sequence, start=1):
            output = engine(inputs, at)
            for name, value in zip(output.names, output.values.clone(), strict=True):
                outputs[f"{name} of step {number}"] = value
        state = leaves_of(snapshot_state(self.eager.step, self.eager.batches))
        # on the CPU, as the device may not have enough memory for several of these
        return {path: leaf.cpu() if isinstance(leaf, Tensor) else leaf for path, leaf in (outputs | state).items()}

    def trace_in_fixed_order(self) -> Leaves:
        """Like `trace` with the eager engine, but with torch's deterministic algorithms.

        Operations that have such an algorithm add in another order than usual: that of the usual ones is not fixed, but
        may be the same in all eager runs.
        """
        with deterministic_algorithms():
            return self.trace(self.eager)

    def unordered_operations(self) -> list[str]:
        """Return the names of operations in the steps that add in no fixed order on a GPU."""
        self.restore()
        return unordered_operations(lambda: [self.eager(inputs, at) for inputs, at in self.sequence])


@contextmanager
def deterministic_algorithms() -> Iterator[None]:
    """Use torch's deterministic algorithms where there are any within the block."""
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = DETERMINISTIC.fill_uninitialized_memory
    try:
        DETERMINISTIC.fill_uninitialized_memory = False
        torch.use_deterministic_algorithms(True, warn_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operations without a deterministic algorithm
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        DETERMINISTIC.fill_uninitialized_memory = filled
