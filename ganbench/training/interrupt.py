"""Ctrl-C, SIGTERM and SIGHUP as a request to end soon and in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def termination_signals() -> list[signal.Signals]:
    """SIGTERM, and SIGHUP (a closed terminal) unless it is ignored: `nohup` and `disown` let a process outlive that."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heeded = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGTERM, hangup] if heeded and hangup else [signal.SIGTERM]


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Within the block, SIGTERM and SIGHUP raise `KeyboardInterrupt`, so that what is half done is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in termination_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupt:
    """Within the block, a first signal while `training` is noted in `requested`: training ends after the step.

    A second Ctrl-C raises `KeyboardInterrupt`. So does a first SIGTERM or SIGHUP while something other than training
    runs: a cluster that is about to take the machine away does not wait long. Once `storing` is set, the run is about
    to end anyway and no signal disturbs it. Python delivers signals to the main thread only: in another one, nothing is
    noted.
    """

    def __init__(self) -> None:
        self.requested = False
        self.terminated = False  # by SIGTERM or SIGHUP
        self.training = False
        self.storing = False
        self._terminating = False  # KeyboardInterrupt was raised for it; a closed terminal sends SIGHUP twice

    def __enter__(self) -> Interrupt:
        in_main_thread = threading.current_thread() is threading.main_thread()
        caught = [signal.SIGINT, *termination_signals()] if in_main_thread else []
        self._before = {number: signal.signal(number, self._note) for number in caught}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if self.storing:
            return
        if number == signal.SIGINT:
            if again:
                raise KeyboardInterrupt
            return
        self.terminated = True
        if not self.training and not self._terminating:
            self._terminating = True
            raise KeyboardInterrupt
