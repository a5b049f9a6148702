"""Ctrl-C and SIGTERM as a wish to end soon and in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Within the block, SIGTERM raises `KeyboardInterrupt`, so that what is half done is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interrupt:
    """Within the block, a first signal while `training` is noted in `requested`: training ends after the step.

    A second one raises `KeyboardInterrupt`, and so does SIGTERM while something else goes on: whoever sends that (a
    cluster, before it takes the machine away) does not wait for long. Python hands signals to the main thread alone: in
    another one, nothing is noted.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self.terminated = False  # by SIGTERM
        self.training = False

    def __enter__(self) -> Interrupt:
        in_main_thread = threading.current_thread() is threading.main_thread()
        caught = self.SIGNALS if in_main_thread else ()
        self._before = {number: signal.signal(number, self._note) for number in caught}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.terminated |= number == signal.SIGTERM
        if self.requested or (self.terminated and not self.training):
            raise KeyboardInterrupt
        self.requested = True
