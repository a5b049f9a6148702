"""The run's side of a tracker's process, which never waits for the tracker."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from ganbench.plugin.callbacks import TrackedRun
from ganbench.plugin.registrations import TrackerContext
from ganbench.spec.configs import TrackerConfig
from ganbench.system.signals import signal_name

from .worker import LAST_EVENT, Report, Start

MAX_WAITING = 1000  # events that wait for a tracker
STOP_SECONDS = 1.0  # for a killed process to end
THINNED = "on_window_end"  # the most frequent event by far, and the one that can be missed
WORKER = "from ganbench.reporting.trackers.worker import main; main()"


class TrackerProcess:
    """A tracker in a process of its own, so that it may hang, crash, print and draw at random.

    Events wait in a queue until the pipe to the process accepts them. If more than `MAX_WAITING` do, every other window
    is dropped, or else the oldest event.
    """

    def __init__(self, config: TrackerConfig, context: TrackerContext, log: Path) -> None:
        """Start the process; what the tracker prints is written to `log`. Raises `OSError` if it cannot be started."""
        if not hasattr(os, "set_blocking"):  # Python 3.11 on Windows
            raise OSError("on Windows, trackers need Python 3.12")
        self.name = config.name
        self.log = log
        self.tracked_run: TrackedRun | None = None
        self.failure: str | None = None
        self.dropped = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._unsent = pickle.dumps(Start(config.model_dump(), config.plugin.provider.given, context))
        self._received = b""
        self._closing = False
        self._finished = False
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", WORKER],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                start_new_session=True,  # Ctrl-C and signals to a job reach only the run, which then ends in order
            )
        self._input, self._output = _non_blocking(self._process.stdin), _non_blocking(self._process.stdout)
        self.exchange()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, event: str, *arguments: Any) -> None:
        """Queue an event, and pass on what the process accepts."""
        self._waiting.append((event, pickle.dumps((event, *arguments))))
        if len(self._waiting) > MAX_WAITING:
            self._drop_some()
        if event == LAST_EVENT:
            self._closing = True
        self.exchange()

    def _drop_some(self) -> None:
        number = count()
        kept = [each for each in self._waiting if each[0] != THINNED or next(number) % 2]
        if len(kept) == len(self._waiting):
            kept = kept[1:]
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = deque(kept)

    def send_no_more(self) -> None:
        """Let the process end once it has received the events that wait."""
        self._closing = True
        self.exchange()

    def exchange(self) -> None:
        """Write the events that the pipe accepts, and read the reports that there are."""
        with suppress(BrokenPipeError):  # the process has ended; `failure` says why
            while self._unsent or self._waiting:
                self._unsent = self._unsent or self._waiting.popleft()[1]
                written = self._input.write(self._unsent)
                if not written:
                    break
                self._unsent = self._unsent[written:]
            else:
                if self._closing:
                    self._input.close()
        code = self._process.poll()  # before its last reports are read
        self._received += self._output.read() or b""
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            report = Report.from_line(line)
            self.tracked_run = report.tracked_run or self.tracked_run
            self.failure = report.failure or self.failure
            self._finished |= report.finished
        if code is not None and not self.failure and not self._finished:
            self.failure = f"its process ended ({signal_name(-code) if code < 0 else f'exit code {code}'})"

    def stop(self) -> None:
        """Kill the process and its children, if they are alive, and remove an empty log."""
        if not self.has_ended:
            with suppress(ProcessLookupError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)  # its session's group has its id
                else:
                    self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # not even that ends a process that waits for a network file system
            self._process.wait(timeout=STOP_SECONDS)
        for stream in (self._input, self._output):
            stream.close()
        with suppress(OSError):
            if not self.log.stat().st_size:
                self.log.unlink()
                self.log.parent.rmdir()  # unless others are in it


def _non_blocking(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    os.set_blocking(stream.fileno(), False)
    return stream
