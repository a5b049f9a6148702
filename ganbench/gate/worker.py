"""One session: a fresh process that trains until its windows settle, times some more, and prints what it saw.

Run as a file, not as a module, by the Python and with the import paths of whichever side is measured: ganbench itself
may be what differs, so this uses its public names alone, and prints plain JSON instead of a result.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SETTLED_SPREAD = 0.05  # the last three windows lie this near to one another, relatively
NEARLY = 0.75  # a run's window is about as long as it was asked to be; only the end of an epoch cuts one short
MOST_WARMUP_WINDOWS = 12  # a machine that does not settle by then is timed as it is
GPU_HERTZ = 1.5e9  # about; a planted slowdown need not be exact


class Windows:
    """The run's windows joined to such of about `seconds`, and the wish to end once there are enough."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count, self.seconds = count, seconds
        self.rates: list[float] = []
        self.settled_after: int | None = None
        self._images = self._elapsed = 0.0

    def add(self, images: float, seconds: float) -> bool:
        """Take in a window of the run; whether there are enough."""
        self._images += images
        self._elapsed += seconds
        if self._elapsed < NEARLY * self.seconds:
            return False
        self.rates.append(self._images / self._elapsed)
        self._images = self._elapsed = 0.0
        if self.settled_after is None:
            last = self.rates[-3:]
            settled = len(last) == 3 and max(last) / min(last) - 1 < SETTLED_SPREAD
            if settled or len(self.rates) >= MOST_WARMUP_WINDOWS:
                self.settled_after = len(self.rates)
            return False
        return len(self.rates) - self.settled_after >= self.count

    def timed(self) -> list[float]:
        """Images a second of the windows that count."""
        return self.rates[self.settled_after : (self.settled_after or 0) + self.count]


def slow_down(seconds_per_step: float) -> None:
    """Plant a slowdown, for tests of the gate: every update takes half of it longer."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    cuda = torch.cuda.is_available()

    def wait(*_: Any) -> None:
        if cuda and torch.cuda.is_initialized():
            torch.cuda._sleep(int(seconds_per_step / 2 * GPU_HERTZ))  # on the device, so that it can be recorded
        else:
            end = time.perf_counter() + seconds_per_step / 2
            while time.perf_counter() < end:  # a sleep would take longer than it was asked to
                pass

    register_optimizer_step_pre_hook(wait)


def main() -> None:
    request = json.loads(sys.argv[1])
    import ganbench

    class Watch(ganbench.Observer):
        last_step, ended = 0, False

        def progressed(self, progress: Any) -> None:
            if self.ended:
                return
            images = (progress.step - self.last_step) * spec.training.batch_size
            self.last_step = progress.step
            if windows.add(images, images / progress.images_per_second):
                self.ended = True
                os.kill(os.getpid(), signal.SIGINT)  # ends the training in order

    unscored = ["metrics=[]", "pictures.real=0", "pictures.generated=0"]
    endless = ["training.epochs=1000000000", "training.budget_seconds=1e9"]
    registry = ganbench.Registry.load(request["plugins"])
    spec, _ = ganbench.load_spec(request["benchmark"], registry, [*request["overrides"], *unscored, *endless])
    windows = Windows(request["windows"] + 1, request["window_seconds"])  # one to spare for the exact count below
    if request.get("delay"):
        slow_down(request["delay"])
    with tempfile.TemporaryDirectory(prefix="ganbench-session-") as folder:
        result, _ = ganbench.run(
            spec,
            device=request["device"],
            out=Path(folder) / "run",
            data_dir=Path(request["data_dir"]) if request["data_dir"] else None,
            observer=Watch(),
            window_seconds=request["window_seconds"],
        )
    if result.status != "interrupted":
        sys.exit(f"the session's training ended by itself: {result.status}: {result.message}")
    told = result.model_dump(mode="json")
    exact = Windows(request["windows"], request["window_seconds"])
    for window in told["throughput"]["windows"]:
        if exact.add(window["images"], window["seconds"]):
            break
    if len(exact.timed()) < request["windows"]:
        sys.exit("the session was interrupted before it had timed its windows")
    session = {
        "images_per_second": exact.timed(),
        "settled_after": exact.settled_after,
        "phases": told["throughput"]["phases"],
        "memory": told["memory"],
        "stamp": told["throughput"]["stamp"],
        "environment": told["environment"],
        "data": told["data"]["fingerprint"],
        "spec": told["spec"],
        "plugins": told["plugins"],
        "gpu": [window.get("gpu") for window in told["throughput"]["windows"]],
    }
    print("\n" + json.dumps(session))


if __name__ == "__main__":
    main()
