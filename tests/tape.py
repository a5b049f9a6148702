"""A capturer for the CPU that replays as a CUDA graph does: the same operations, on the same memory, without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)  # as .item() does, for the device


class Tape(TorchDispatchMode):
    """Notes every operation with its arguments and where its results lie."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in WAITS:
            raise RuntimeError("called a synchronizing operation\nand a second line")
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, result in self.operations:
            fresh = function(*args, **kwargs)
            for held, new in zip(tree_leaves(result), tree_leaves(fresh), strict=True):
                if isinstance(held, Tensor) and held.data_ptr() != new.data_ptr():
                    held.copy_(new)


class Moment:
    """The n-th mark of a capture, a second after the one before."""

    def __init__(self, number: int) -> None:
        self.number = number

    def elapsed_time(self, end: Moment) -> float:
        return 1000.0 * (end.number - self.number)


class TapeCapturer:
    """Captures on the CPU. Unlike a CUDA graph, it also does the work while capturing."""

    graph_memory_bytes = 1234

    def __init__(self) -> None:
        self.marks = 0

    def warm_up_capture(self, work: Callable[[], Any]) -> None:
        with Tape():
            work()

    def capture(self, work: Callable[[], Any]) -> Callable[[], None]:
        with Tape() as tape:
            work()
        return tape.replay

    def mark(self) -> Moment:
        self.marks += 1
        return Moment(self.marks)
