"""What a fresh process of the gate runs: training in timed turns, or a training to its end that is scored.

Run as a file, not as a module, by the Python and with the import paths of whichever side is measured: ganbench itself
may be what differs, so this uses its public names alone, and prints plain JSON instead of a result. Standard output is
kept for that; whatever a plugin prints there goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

MISSING = 3  # the exit code for what a side does not have, as ganbench's own
NEARLY = 0.75  # a run's window is about as long as it was asked to be; only the end of an epoch cuts one short
NO_LOSSES = ("epoch", "images", "seconds", "images_per_second")  # of a row of the history
GPU_HERTZ = 1.5e9  # about; a planted slowdown need not be exact
Json = dict[str, Any]


def main() -> None:
    request = json.loads(sys.argv[1])
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(told: Any) -> None:
        print(json.dumps(told), file=channel, flush=True)

    jobs = {"time": time_turns, "train": train}
    answer(jobs[request["job"]](request, answer))


def time_turns(request: Json, answer: Any) -> Json:
    """Train a turn for each line on standard input, answering with images a second, until there are no more."""
    import ganbench

    class Turns(ganbench.Observer):
        """Waits at the end of each turn, which is as many of the run's windows as it takes to fill its time."""

        def __init__(self) -> None:
            self.windows: list[int] = []  # of the run, in each turn
            self.images = self.seconds = 0.0
            self.open_windows = self.last_step = 0
            self.ended = False

        def progressed(self, progress: Any) -> None:
            try:
                self.take_in(progress)
            except Exception:  # a run drops an observer that fails, and this one alone can end the training
                traceback.print_exc()
                raise KeyboardInterrupt from None

        def take_in(self, progress: Any) -> None:
            if self.ended:
                return
            images = (progress.step - self.last_step) * spec.training.batch_size
            self.last_step = progress.step
            self.open_windows += 1
            self.images += images
            self.seconds += images / progress.images_per_second
            if self.seconds < NEARLY * request["window_seconds"]:
                return
            answer(self.images / self.seconds)
            self.windows.append(self.open_windows)
            self.images = self.seconds = self.open_windows = 0
            if not sys.stdin.readline():
                self.ended = True
                os.kill(os.getpid(), signal.SIGINT)  # ends the training in order

    spec = load(request)
    endless = spec.training.model_copy(update={"epochs": 10**9, "steps": None, "budget_seconds": None})
    spec = unseen(spec).model_copy(update={"metrics": [], "training": endless})
    turns = Turns()
    if request["delay"]:
        slow_down(request["delay"])
    result = run(spec, request, observer=turns, window_seconds=request["window_seconds"])
    if not turns.ended:
        sys.exit(f"the session's training ended by itself: {result['status']}: {result['message']}")
    throughput = result["throughput"]
    windows = iter(throughput["windows"])
    taken = [[next(windows) for _ in range(count)] for count in turns.windows]
    return {
        "images_per_second": [total(turn, "images") / total(turn, "seconds") for turn in taken],
        "gpu": [turn[-1].get("gpu") for turn in taken],
        "phases": throughput["phases"],
        "memory": result["memory"],
        "stamp": throughput["stamp"],
        **circumstances(result),
    }


def train(request: Json, answer: Any) -> Json:
    """Train to the end, and score only then."""
    spec = load(request)
    metrics = [metric.model_copy(update={"at_epochs": []}) for metric in spec.metrics]
    result = run(unseen(spec).model_copy(update={"metrics": metrics}), request)
    last_row = result["history"][-1] if result["history"] else {}
    return {
        "status": result["status"],
        "message": result["message"],
        "losses": {name: value for name, value in last_row.items() if name not in NO_LOSSES},
        "metrics": [
            {key: metric[key] for key in ("id", "name", "label", "value", "better", "stamp")}
            for metric in result["metrics"]
        ],
        **circumstances(result),
    }


def load(request: Json) -> Any:
    """The spec. Ends the process with `MISSING` where this side cannot have it."""
    import ganbench

    try:
        registry = ganbench.Registry.load(request["plugins"])
        return ganbench.load_spec(request["benchmark"], registry, request["overrides"])[0]
    except ganbench.UsageError as error:  # this side has no such benchmark, plugin or option
        print(error, file=sys.stderr)
        sys.exit(MISSING)


def unseen(spec: Any) -> Any:
    """The spec without pictures."""
    return spec.model_copy(update={"pictures": spec.pictures.model_copy(update={"real": 0, "generated": 0})})


def run(spec: Any, request: Json, **more: Any) -> Json:
    import ganbench

    data_dir = Path(request["data_dir"]) if request["data_dir"] else None
    with tempfile.TemporaryDirectory(prefix="ganbench-session-") as folder:
        out = Path(folder) / "run"
        result, _ = ganbench.run(spec, device=request["device"], out=out, data_dir=data_dir, **more)
    return result.model_dump(mode="json")


def circumstances(result: Json) -> Json:
    """Under which a result came about."""
    return {
        "environment": result["environment"],
        "data": result["data"]["fingerprint"],
        "spec": result["spec"],
        "plugins": result["plugins"],
    }


def total(windows: list[Json], key: str) -> float:
    return sum(window[key] for window in windows)


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


if __name__ == "__main__":
    main()
