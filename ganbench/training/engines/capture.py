"""Capturing work on a GPU, to replay it without Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from packaging.version import Version

# later versions of torch find out by themselves which generators captured work draws from
NEEDS_GENERATORS = Version(torch.__version__) < Version("2.13.dev")


class Mark(Protocol):
    """A point in time within captured work, recorded anew in each replay."""

    def elapsed_time(self, end: Any) -> float:
        """Return the milliseconds from this mark to another."""


class GraphCapturer(Protocol):
    """Captures the work of a function on the device."""

    graph_memory_bytes: int  # peak memory of captured work while it runs, in addition to what outlives it

    def warm_up_capture(self, work: Callable[[], Any]) -> None:
        """Do the work on the stream that will capture it. Raises if it waits for the device."""

    def capture(self, work: Callable[[], Any]) -> Callable[[], None]:
        """Capture the work; return a function that replays it. Raises if it cannot be captured."""

    def mark(self) -> Mark:
        """Return a mark; call it within the work."""


class CudaCapturer:
    """Captures CUDA graphs that share a memory pool, as none needs what another left in it."""

    def __init__(self, device: torch.device, generators: list[torch.Generator]) -> None:
        """`generators` are all that the work draws from; each replay advances them as the work itself would."""
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
                warnings.simplefilter("ignore")  # the mode warns that it is a prototype
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
            # the outer context leaves the capturing stream even if ending a failed capture raises
            with (
                torch.cuda.stream(outside),
                # other threads, such as a data loader's, may continue to call CUDA
                torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"),
            ):
                work()
        except Exception:
            # a failed capture leaves its generators in capturing mode, in which they cannot be used
            for generator, state in zip(self.generators, states, strict=True):
                generator.graphsafe_set_state(state)
            raise
        self.graph_memory_bytes = max(self.graph_memory_bytes, torch.cuda.max_memory_allocated(self.device) - allocated)
        return graph.replay

    def mark(self) -> Mark:
        event = torch.cuda.Event(enable_timing=True, external=True)
        event.record()
        return event
