"""Handling of the signals that end a process: Ctrl-C, SIGTERM and a closed terminal (SIGHUP)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
TERMINATION_SIGNALS = tuple(signal.Signals[name] for name in NAMES if hasattr(signal, name))  # Windows has no SIGHUP


@contextmanager
def interrupt_once() -> Iterator[None]:
    """Within the block, raise `KeyboardInterrupt` on the first termination signal and ignore further ones.

    So the block can clean up without being interrupted again. A scheduler that cancels a job sends several signals
    within seconds.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for termination in TERMINATION_SIGNALS:
            signal.signal(termination, lambda *_: None)  # with SIG_IGN, Python would report a signal already pending
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer termination signals until the end of the block; for short blocks, such as a cleanup."""
    received: list[int] = []
    with _handled_by(lambda number, _: received.append(number)):
        yield
    for number in received[:1]:
        signal.raise_signal(number)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Install `handler`, except for signals that are ignored already (nohup). Only the main thread can set handlers."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, handler)
        for number in (TERMINATION_SIGNALS if in_main_thread else ())
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
