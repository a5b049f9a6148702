"""What happens when the process is asked to end: by Ctrl-C, by SIGTERM, or because its terminal was closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
ENDING = tuple(signal.Signals[name] for name in NAMES if hasattr(signal, name))  # Windows has no SIGHUP


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within the block the first of these signals raises `KeyboardInterrupt`, and further ones are ignored.

    So whatever ends the block cleans up, and nothing interrupts the cleanup. A service that cancels a job sends several
    signals within seconds.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for ending in ENDING:
            signal.signal(ending, lambda *_: None)  # Python reports a pending signal that is set to SIG_IGN
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def postponed() -> Iterator[None]:
    """Signals that would end the process wait for the end of the block, which is short: a cleanup."""
    noted: list[int] = []
    with _handled_by(lambda number, _: noted.append(number)):
        yield
    for number in noted[:1]:
        signal.raise_signal(number)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Signals that were ignored from the start (nohup) stay so. Python lets the main thread alone set handlers."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, handler)
        for number in (ENDING if in_main_thread else ())
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
