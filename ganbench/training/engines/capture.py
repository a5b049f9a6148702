"""Recording work on a GPU, to do it again without the Python that first did it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from packaging.version import Version

# later versions of torch find by themselves which generators recorded work draws from
NEEDS_GENERATORS = Version(torch.__version__) < Version("2.13.dev")


class Mark(Protocol):
    """A moment within recorded work, anew at each replay."""

    def elapsed_time(self, end: Any) -> float:
        """Milliseconds from this moment to another."""


class GraphCapturer(Protocol):
    """Records what a function does on the device."""

    graph_memory_bytes: int  # the most memory that recorded work takes while it runs, beside what outlives it

    def warm_up_capture(self, work: Callable[[], Any]) -> None:
        """Do the work where it will be recorded. Raises if it waits for the device."""

    def capture(self, work: Callable[[], Any]) -> Callable[[], None]:
        """Record the work; what is returned does it again. Raises if it cannot be recorded."""

    def mark(self) -> Mark:
        """To be called within the work."""


class CudaCapturer:
    """Records CUDA graphs that share their memory: none needs what another left in it."""

    def __init__(self, device: torch.device, generators: list[torch.Generator]) -> None:
        """`generators` are all that the work draws from; each replay moves them on as the work itself would."""
        self.device = device
        self.generators = generators
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        self.graph_memory_bytes = 0

    def warm_up_capture(self, work: Callable[[], Any]) -> None:
        outside = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outside)
        before = torch.cuda.get_sync_debug_mode()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the mode tells everyone that it is a prototype
                torch.cuda.set_sync_debug_mode("error")
            with torch.cuda.stream(self.stream):
                work()
        finally:
            torch.cuda.set_sync_debug_mode(before)
            outside.wait_stream(self.stream)

    def capture(self, work: Callable[[], Any]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators if NEEDS_GENERATORS else []:
            graph.register_generator_state(generator)
        states = [generator.clone_state() for generator in self.generators]
        outside = torch.cuda.current_stream(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        allocated = torch.cuda.memory_allocated(self.device)
        try:
            # the outer context leaves the recording's stream even where ending a broken recording raises
            with (
                torch.cuda.stream(outside),
                # other threads, such as a loader's, may go on with their own calls
                torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"),
            ):
                work()
        except Exception:
            # a broken recording leaves its generators as if still recorded, and so they could not be used any more
            for generator, state in zip(self.generators, states, strict=True):
                generator.graphsafe_set_state(state)
            raise
        self.graph_memory_bytes = max(self.graph_memory_bytes, torch.cuda.max_memory_allocated(self.device) - allocated)
        return graph.replay

    def mark(self) -> Mark:
        event = torch.cuda.Event(enable_timing=True, external=True)
        event.record()
        return event
