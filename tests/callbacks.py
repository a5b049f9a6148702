"""Callbacks that act when training has reached a step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from ganbench.plugin.callbacks import Callback, Progress


class AtStep(Callback):
    """Calls a function once, at the end of the first window that reaches a step."""

    def __init__(self, step: int, call: Callable[[], object]) -> None:
        self.step = step
        self.call: Callable[[], object] | None = call

    def on_window_end(self, progress: Progress) -> None:
        if self.call is not None and progress.step >= self.step:
            call, self.call = self.call, None
            call()


class StopAt(AtStep):
    """Presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        super().__init__(step, press_ctrl_c)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
