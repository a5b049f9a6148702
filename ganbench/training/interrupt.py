"""Ctrl-C and SIGTERM as a wish to end soon and in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupt:
    """Within the block, the first signal is noted in `requested`; the second raises `KeyboardInterrupt`.

    Python hands signals to the main thread alone: in another one, nothing is noted.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interrupt:
        in_main_thread = threading.current_thread() is threading.main_thread()
        caught = self.SIGNALS if in_main_thread else ()
        self._before = {number: signal.signal(number, self._note) for number in caught}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
