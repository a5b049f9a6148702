"""Handling of the signals that end a process: Ctrl-C, SIGTERM and a closed terminal (SIGHUP).

All handlers in ganbench are installed by `handle_signals`, so that one rule holds everywhere. SIGINT and SIGTERM are
always handled; a background job, for which a shell ignores SIGINT, can be ended by `kill -INT` too. SIGHUP is handled
unless it is ignored already: `nohup` lets a process outlive its terminal.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]
NAMES = {each.value: each.name for each in signal.Signals}  # most real-time signals have none


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGTERM, or else its number."""
    return NAMES.get(number, f"signal {number}")


@contextmanager
def handle_signals(handler: Handler) -> Iterator[None]:
    """Call `handler` for termination signals within the block; only in the main thread, which alone can do that."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in (termination_signals() if in_main_thread else ())}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def termination_signals() -> list[signal.Signals]:
    """Return the termination signals to handle."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, hangup]


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Within the block, raise `KeyboardInterrupt` on every termination signal, so that cleanup code runs."""
    with handle_signals(signal.default_int_handler):
        yield


@contextmanager
def interrupt_once() -> Iterator[None]:
    """Within the block, raise `KeyboardInterrupt` on the first termination signal and ignore further ones.

    So the block can clean up without being interrupted again. A scheduler that cancels a job sends several signals
    within seconds.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for termination in termination_signals():
            signal.signal(termination, lambda *_: None)  # with SIG_IGN, Python would report a signal already pending
        raise KeyboardInterrupt

    with handle_signals(interrupt):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer termination signals until the end of the block; for short blocks, such as a cleanup."""
    received: list[int] = []
    try:
        with handle_signals(lambda number, _: received.append(number)):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)


def obey_parent_only() -> None:
    """In a process that `multiprocessing` has started, ignore termination signals that its parent did not send.

    Ctrl-C, `timeout`, torchrun and schedulers signal all processes of a job, but a worker has to work on until its
    parent has stopped in order. Has no effect outside Linux.
    """
    parent = multiprocessing.parent_process()
    if parent is None or not hasattr(signal, "sigwaitinfo"):
        return
    numbers = termination_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # a handler would not know the sender

    def wait_for_parent() -> None:
        while signal.sigwaitinfo(numbers).si_pid != parent.pid:
            pass
        os._exit(0)  # the main thread may hang; if it keeps the GIL, only SIGKILL ends the process

    threading.Thread(target=wait_for_parent, daemon=True).start()
