"""The gate's worker process: trains in timed windows, or trains to the end and computes scores.

It runs as a file, not as a module, with the Python and import paths of the side it measures. ganbench itself may be
what differs between the sides, so it uses only public names, and prints plain JSON instead of a result. Standard output
is reserved for that; what plugins print there goes to standard error.
"""

from __future__ import annotations

import importlib.util
import json
import math
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

USAGE, MISSING = 2, 3  # exit codes of errors whose message says everything; of others, the gate shows the traceback
NON_LOSS_COLUMNS = ("epoch", "images", "seconds", "images_per_second")  # of the history
METRIC_KEYS = ("id", "name", "label", "value", "higher_is_better", "protocol", "software")
GO_ON = b"g"
Json = dict[str, Any]
Requests = SimpleQueue[bytes]  # of single letters: go on, or stop


def load_file(path: Path) -> Any:
    """Load a file of the gate's own ganbench: the one under test may have none."""
    specification = importlib.util.spec_from_file_location(f"ganbench_gate_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


code_in_use, job_specs, gate_windows, slowdown = (
    load_file(Path(__file__).with_name(f"{name}.py")) for name in ("code_in_use", "job_specs", "windows", "slowdown")
)
source = load_file(Path(__file__).parents[2] / "system" / "source.py")


class MissingError(Exception):
    """This side lacks something, as the message says."""

    exit_code = MISSING


def main() -> None:
    request = json.loads(sys.argv[1])
    channel = take_over(sys.stdout.fileno(), sys.stderr.fileno())
    os.register_at_fork(after_in_child=lambda: os.close(channel))  # or the gate would wait for children of a crash

    def answer(reply: Any) -> None:
        with open(channel, "w", closefd=False) as stream:
            print(json.dumps(reply), file=stream)

    requests = listen(request["temporary"])
    job = {"probe": probe, "time": time_windows, "train": train}[request["job"]]
    answer_or_exit(answer, lambda: job(request, answer, requests))
    os._exit(0)  # the regular exit takes a second to free torch


def answer_or_exit(answer: Any, make_reply: Any) -> None:
    """Send a reply, or exit after sending why there is none."""
    try:
        answer(make_reply())
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if exit_code in (USAGE, MISSING):
            answer({"error": str(error), "exit_code": exit_code})
        else:
            traceback.print_exc()
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(1)


def take_over(descriptor: int, replacement: int) -> int:
    """Return a private copy of a standard descriptor, and let it refer to `replacement` for everyone else."""
    private = os.dup(descriptor)
    os.dup2(replacement, descriptor)
    return private


def listen(temporary: list[str]) -> Requests:
    """Queue the letters that the gate writes. When the gate is gone, remove temporary folders and exit."""
    requests: Requests = SimpleQueue()
    letters = take_over(sys.stdin.fileno(), os.open(os.devnull, os.O_RDONLY))

    def read() -> None:
        while letter := os.read(letters, 1):
            requests.put(letter)
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
        if os.getpgrp() == os.getpid():  # its own group, as started by the gate
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return requests


def probe(request: Json, answer: Any, requests: Requests) -> Json:
    """Train for a window, and report what ran, because some files are first read in a step. On request, train then.

    If there will be scores, the metrics are prepared, too, because they may read files of the repository.
    """
    opened = code_in_use.record_opened_files()
    prepared: set[str] = set()  # files that were opened before the first step
    own = code_in_use.checkout_of(Path.cwd(), request)
    import ganbench

    spec, registry = load(request)
    code = code_in_use.describe_code(source, spec, registry, request)

    def describe(info: Any) -> Json:
        packages = {name: code[name].pop("files") for name in code}
        # later, a dataset may open files whose number depends on the speed; their content is in the hash of the data
        read = {path for path in set(opened) if path in prepared or code_in_use.is_code(source, path)}
        used = code_in_use.files_in_use(source, read if prepared else opened, code, registry, request)
        return {
            "code": code,
            "files": {**packages, **code_in_use.hash_used(source, used)},
            "foreign_code": code_in_use.foreign_code(source, used, own),
            "spec": spec.model_dump(mode="json"),
            "data": info.data.content_sha256,
            "environment": {
                "python": sys.version,
                "prefix": sys.prefix,
                "installed": code_in_use.installed_distributions(source, request),
            },
        }

    class ReportAndWait(ganbench.Callback):
        """Ends the run after its first window, if the gate wants to go on."""

        info: Any = None
        reported = False

        def on_run_start(self, info: Any) -> None:
            self.info = info

        def on_status(self, status: str) -> None:  # an earlier ganbench reports none
            if status == "warming up":
                prepared.update(opened)

        def on_window_end(self, progress: Any) -> None:
            if not self.reported:
                self.report_and_wait()
                end_run()

        def report_and_wait(self) -> None:
            self.reported = True
            answer_or_exit(answer, lambda: describe(self.info))
            if requests.get() != GO_ON:
                os._exit(0)

    callback = ReportAndWait()
    run(
        job_specs.make_short(spec, request["scores"]),
        request,
        callback=callback,
        window_seconds=request["window_seconds"],
    )
    if not callback.reported:  # it diverged in the first window
        callback.report_and_wait()
    return train(request, answer, requests)


def time_windows(request: Json, answer: Any, requests: Requests) -> Json:
    """Train one window per request, replying with images/s, until asked to stop."""
    import ganbench

    class TimeWindows(ganbench.Callback):
        """Waits after each of the gate's windows."""

        def __init__(self) -> None:
            self.images = 0
            self.stopped = False

        def on_window_end(self, progress: Any) -> None:
            try:
                self.add(progress)
            except Exception:  # a run drops a callback that fails, but only this one can end the training
                traceback.print_exc()
                raise KeyboardInterrupt from None

        def add(self, progress: Any) -> None:
            if self.stopped:
                return
            images_so_far = getattr(progress, "images", progress.step * spec.training.batch_size)  # an earlier ganbench
            images, self.images = images_so_far - self.images, images_so_far
            if multiprocessing.active_children():  # the data workers, which also read one more batch each
                windows.prefetched = spec.data.workers * (1 + spec.data.prefetch_batches)
            rate = windows.add(progress.step, images, images / progress.images_per_second)
            if rate is None:
                return
            answer(rate)
            if requests.get() != GO_ON:
                self.stopped = True
                end_run()

    spec, registry = load(request)
    requested = spec
    spec = job_specs.make_endless(spec)
    period = math.lcm(*(penalty.every for penalty in getattr(spec, "penalties", [])))
    windows = gate_windows.Windows(request["window_seconds"], period)
    callback = TimeWindows()
    if request["delay"]:
        slowdown.slow_down(request["delay"], updates=1 + getattr(spec.training, "discriminator_steps", 1))
    result = run(spec, request, callback=callback, window_seconds=request["window_seconds"])
    if not callback.stopped:
        remedy = (
            "; timing trains beyond the benchmark's own length: if it is only stable for that, `ganbench check "
            "--no-speed` checks the rest"
        )
        hint = remedy if result["status"] == "diverged" else ""
        sys.exit(f"training ended before it was asked to: {result['status']}: {result['message']}{hint}")
    throughput = result["throughput"]
    timed = [throughput["windows"][each] for each in windows.complete]
    return {
        "images_per_second": [total(window, "images") / total(window, "seconds") for window in timed],
        "gpu": [window[-1].get("gpu") for window in timed],
        "phases": throughput["phases"],
        "memory": result["memory"],
        "conditions": throughput["conditions"],
        "disturbed_by": throughput.get("disturbed_by"),
        **run_context(result, requested, registry, request),
    }


def train(request: Json, answer: Any, requests: Requests) -> Json:
    """Train to the end, and score only there; metrics with a target are scored on schedule, if requested."""
    spec, registry = load(request)
    spec = job_specs.make_complete(spec, request["training"], request["targets"])
    result = run(spec, request)
    if result["status"] not in ("completed", "diverged"):
        sys.exit(f"training ended too early: {result['status']}: {result['message']}")
    last_row = result["history"][-1] if result["history"] else {}
    return {
        "status": result["status"],
        "message": result["message"],
        "losses": {name: value for name, value in last_row.items() if name not in NON_LOSS_COLUMNS},
        "metrics": [{key: metric[key] for key in METRIC_KEYS} for metric in result["metrics"]],
        "targets": result.get("targets", []),
        "disturbed": result["throughput"].get("disturbed", False),
        **run_context(result, spec, registry, request),
    }


def load(request: Json) -> tuple[Any, Any]:
    """Load the plugins and the spec. Raises `MissingError` if this side lacks one."""
    import ganbench

    try:
        registry = ganbench.Registry.load(request["plugins"])
        if hasattr(ganbench, "Run"):
            return ganbench.load_spec(request["benchmark"], *request["overrides"], plugins=request["plugins"]), registry
        # an earlier ganbench
        return ganbench.load_spec(request["benchmark"], registry, request["overrides"])[0], registry  # type: ignore
    except ganbench.UsageError as error:  # this side has no such benchmark, plugin or option
        raise MissingError(f"benchmark, plugin or option not found: {error}") from None


def end_run() -> None:
    """End the run of this process at once, without the measurements after training."""
    os.kill(os.getpid(), signal.SIGTERM)


def run(spec: Any, request: Json, **more: Any) -> Json:
    import ganbench

    data_dir = Path(request["data_dir"]) if request["data_dir"] else None
    out = Path(tempfile.mkdtemp(dir=request["folder"])) / "run"
    options = {"device": request["device"], "out": out, "data_dir": data_dir, **more}
    if hasattr(ganbench, "Run"):
        result = ganbench.run(spec, quiet=True, track=None, **options).result
    else:  # an earlier ganbench
        result, _ = ganbench.run(spec, **options)  # type: ignore
    return result.model_dump(mode="json")


def run_context(result: Json, spec: Any, registry: Any, request: Json) -> Json:
    """Return the environment, data, spec, plugins and code of a result."""
    code = code_in_use.describe_code(source, spec, registry, request)
    return {
        "environment": result["environment"],
        "data": result["data"]["content_sha256"],
        "spec": result["spec"],
        "plugins": result["plugins"],
        "code": {name: {"path": package["path"], "source": package["source"]} for name, package in code.items()},
    }


def total(windows: list[Json], key: str) -> float:
    return sum(window[key] for window in windows)


if __name__ == "__main__":
    main()
