"""The launcher of runs over several processes ends as the process that failed, so that a suite knows what happened."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed.launcher.api import LaunchConfig

from ganbench.errors import ExitCode
from ganbench.plugin.jobs import STOP_SECONDS
from ganbench.runtime.torchrun import torchrun

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the signal handlers, which torchrun replaces."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 2", 2),
        ("[ $RANK = 0 ] || exit 5; sleep 60", 5),
        ("[ $RANK = 0 ] || kill -KILL $$$$; sleep 60", -signal.SIGKILL),  # torchrun replaces $$ by $
    ],
)
def test_the_exit_code_is_that_of_the_first_process_that_failed(script: str, code: int) -> None:
    assert torchrun("2", "--no-python", "sh", "-c", script) == code


@pytest.mark.skipif(not hasattr(LaunchConfig, "shutdown_timeout"), reason="torch 2.11 always waits for 30 s")
def test_processes_have_as_long_to_end_as_those_of_other_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "removed after the test")
    monkeypatch.delenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT")
    assert torchrun("1", "--no-python", "true") == 0
    assert STOP_SECONDS - 10 < LaunchConfig(1, 1, 1).shutdown_timeout < STOP_SECONDS


def test_a_signal_reaches_all_processes(tmp_path: Path) -> None:
    script = "touch began-$RANK; trap 'touch ended-$RANK; exit 0' TERM; while :; do sleep 0.1; done"
    command = [sys.executable, "-m", "ganbench.runtime.torchrun", "2", "--no-python", "sh", "-c", script]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while len(list(tmp_path.glob("began-*"))) < 2:
        time.sleep(0.1)
    process.terminate()
    assert process.wait(30) == ExitCode.INTERRUPTED
    assert len(list(tmp_path.glob("ended-*"))) == 2
