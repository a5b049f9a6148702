"""Which signals are handled: all that end a process, except an ignored SIGHUP."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ganbench.system.signals import (
    defer_signals,
    handle_signals,
    interrupt_on_signals,
    interrupt_once,
    obey_parent_only,
)

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the handlers after the test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ignored_signals_are_handled_except_sighup() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # as a shell does for background jobs, and nohup
    received = []
    with handle_signals(lambda number, _: received.append(number)):
        for number in SIGNALS:
            os.kill(os.getpid(), number)
    assert received == [signal.SIGINT, signal.SIGTERM]
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_IGN] * 3


@pytest.mark.parametrize("number", SIGNALS)
def test_further_signals_interrupt_again_or_only_once(number: signal.Signals) -> None:
    with interrupt_on_signals():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    with interrupt_once():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        for other in SIGNALS:
            os.kill(os.getpid(), other)


def test_a_deferred_signal_comes_at_the_end_of_the_block() -> None:
    steps = []
    with interrupt_on_signals(), pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what runs before it is the point
        with defer_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("cleaned up")
        steps.append("went on")
    assert steps == ["cleaned up"]


def test_a_deferred_signal_comes_even_if_the_block_fails() -> None:
    with interrupt_on_signals(), pytest.raises(KeyboardInterrupt), defer_signals():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError


def test_all_deferred_signals_come_if_the_first_one_does_not_raise() -> None:
    received = []
    with handle_signals(lambda number, _: received.append(number)):
        with defer_signals():
            for number in SIGNALS:
                os.kill(os.getpid(), number)
        assert received == SIGNALS


def hang(ready: Any) -> None:
    obey_parent_only()
    ready.set()
    time.sleep(60)


def test_a_worker_that_hangs_is_ended_by_its_parent_and_by_nobody_else() -> None:
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=hang, args=(ready := context.Event(),))
    worker.start()
    assert ready.wait(30)
    for number in SIGNALS:
        subprocess.run(["kill", f"-{number.value}", str(worker.pid)], check=True)
    worker.join(0.2)
    assert worker.exitcode is None
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == 0
