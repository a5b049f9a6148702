"""What a fresh process of the gate runs: training in timed turns, or a training to its end that is scored.

Run as a file, not as a module, by the Python and with the import paths of whichever side is measured: ganbench itself
may be what differs, so this uses its public names alone, and prints plain JSON instead of a result. Standard output is
kept for that; whatever a plugin prints there goes to standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from importlib.metadata import distributions, entry_points
from pathlib import Path
from queue import SimpleQueue
from typing import Any

MISSING = 3  # the exit code for what a side does not have, as ganbench's own
NEARLY = 0.75  # a run's window is about as long as it was asked to be; only the end of an epoch cuts one short
NO_LOSSES = ("epoch", "images", "seconds", "images_per_second")  # of a row of the history
GPU_HERTZ = 1.5e9  # about; a planted slowdown need not be exact
METRIC_KEYS = ("id", "name", "label", "value", "higher_is_better", "protocol", "software")
GO_ON = b"g"
Json = dict[str, Any]
Asked = SimpleQueue[bytes]  # of letters: to go on, or to end


def main() -> None:
    request = json.loads(sys.argv[1])
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(told: Any) -> None:
        print(json.dumps(told), file=channel, flush=True)

    jobs = {"probe": probe, "time": time_turns, "train": train}
    answer(jobs[request["job"]](request, answer, listen(request["temporary"])))


def listen(temporary: list[str]) -> Asked:
    """The letters that the gate writes. When it is gone, so is this process, with all that both have left on disk."""
    asked: Asked = SimpleQueue()

    def read() -> None:
        while letter := os.read(sys.stdin.fileno(), 1):
            asked.put(letter)
        for folder in temporary:
            shutil.rmtree(folder, ignore_errors=True)
        if os.getpgrp() == os.getpid():  # its own group, as the gate starts it
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return asked


def probe(request: Json, answer: Any, asked: Asked) -> Json:
    """Prepare everything for a training, and tell what would run; training itself does not begin."""
    import ganbench

    read = set()  # files, by their paths

    def note(event: str, arguments: Any) -> None:
        if event == "open" and isinstance(arguments[0], str):
            read.add(arguments[0])

    class Planned(ganbench.Callback):
        """Ends the process when the data, the networks and the loss have been made."""

        def on_run_start(self, plan: Any) -> None:
            files = {name: code[name].pop("files") for name in code}
            told = {
                "code": code,
                "files": {**files, **files_in_checkouts({*filter(os.path.isfile, read), *request["files"]}, request)},
                "spec": spec.model_dump(mode="json"),
                "data": plan.data.content_sha256,
                "environment": {
                    "python": sys.version,
                    "prefix": sys.prefix,
                    "installed": sorted(str(getattr(found, "_path", found)) for found in distributions()),
                },
            }
            answer(told)
            os._exit(0)

    sys.addaudithook(note)
    spec, registry = load(request)
    code = code_of(spec, registry, request)
    run(spec, request, callback=Planned())
    sys.exit("the run has not said what it plans")


def time_turns(request: Json, answer: Any, asked: Asked) -> Json:
    """Train a turn each time it is asked for, answering with images a second, until there are no more."""
    import ganbench

    class Turns(ganbench.Callback):
        """Waits at the end of each turn, which is as many of the run's windows as it takes to fill its time."""

        def __init__(self) -> None:
            self.windows: list[int] = []  # of the run, in each turn
            self.images = self.seconds = 0.0
            self.open_windows = self.last_step = 0
            self.ended = False

        def on_window_end(self, progress: Any) -> None:
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
            if asked.get() != GO_ON:
                self.ended = True
                os.kill(os.getpid(), signal.SIGINT)  # ends the training in order

    spec, registry = load(request)
    asked_for = spec
    endless = spec.training.model_copy(update={"epochs": 10**9, "steps": None, "budget_seconds": None})
    spec = unseen(spec).model_copy(update={"metrics": [], "training": endless})
    turns = Turns()
    if request["delay"]:
        slow_down(request["delay"])
    result = run(spec, request, callback=turns, window_seconds=request["window_seconds"])
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
        "conditions": throughput["conditions"],
        **circumstances(result, asked_for, registry, request),
    }


def train(request: Json, answer: Any, asked: Asked) -> Json:
    """Train to the end, and score only then."""
    spec, registry = load(request)
    metrics = [metric.model_copy(update={"at_epochs": []}) for metric in spec.metrics]
    length_and_seed = spec.training.model_copy(update=request["training"])
    spec = unseen(spec).model_copy(update={"metrics": metrics, "training": length_and_seed})
    result = run(spec, request)
    last_row = result["history"][-1] if result["history"] else {}
    return {
        "status": result["status"],
        "message": result["message"],
        "losses": {name: value for name, value in last_row.items() if name not in NO_LOSSES},
        "metrics": [{key: metric[key] for key in METRIC_KEYS} for metric in result["metrics"]],
        **circumstances(result, spec, registry, request),
    }


def load(request: Json) -> tuple[Any, Any]:
    """The spec, and all plugins. Ends the process with `MISSING` where this side cannot have it."""
    import ganbench

    try:
        registry = ganbench.Registry.load(request["plugins"])
        return ganbench.load_spec(request["benchmark"], registry, request["overrides"])[0], registry
    except ganbench.UsageError as error:  # this side has no such benchmark, plugin or option
        print(error, file=sys.stderr)
        sys.exit(MISSING)


def unseen(spec: Any) -> Any:
    """The spec without sample images."""
    return spec.model_copy(update={"sample_images": spec.sample_images.model_copy(update={"real": 0, "generated": 0})})


def run(spec: Any, request: Json, **more: Any) -> Json:
    import ganbench

    data_dir = Path(request["data_dir"]) if request["data_dir"] else None
    out = Path(request["folder"]) / "run"
    result, _ = ganbench.run(spec, device=request["device"], out=out, data_dir=data_dir, **more)
    return result.model_dump(mode="json")


def circumstances(result: Json, spec: Any, registry: Any, request: Json) -> Json:
    """Under which a result came about."""
    code = code_of(spec, registry, request)
    return {
        "environment": result["environment"],
        "data": result["data"]["content_sha256"],
        "spec": result["spec"],
        "plugins": result["plugins"],
        "code": {name: {"path": told["path"], "source": told["source"]} for name, told in code.items()},
    }


def code_of(spec: Any, registry: Any, request: Json) -> dict[str, Json]:
    """Where ganbench and the plugins in use were imported from, with hashes of their source and of all their files."""
    source = source_module(request)
    roots = packages_in_use(source, spec, registry, request)
    return {
        name: {
            "path": str(root),
            "source": source.hash_files(source.code_files(root)),
            "files": source.hash_files(source.all_files(root)),
        }
        for name, root in sorted(roots.items())
    }


def source_module(request: Json) -> Any:
    """The gate's own `ganbench/source.py`: the ganbench that is measured may have none."""
    specification = importlib.util.spec_from_file_location("ganbench_gate_source", request["source_module"])
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def packages_in_use(source: Any, spec: Any, registry: Any, request: Json) -> dict[str, Path]:
    """ganbench, what the spec or -p names, and what these import that is not installed for good."""
    providers = [choice.plugin.provider for choice in spec.plugin_configs()]
    if not request["benchmark"].endswith(".toml"):
        named = registry.named(request["benchmark"])
        providers += [found.provider for found in named if found.plugin.kind == "benchmark"]
    files = [Path(plugin).resolve() for plugin in request["plugins"] if plugin.endswith(".py")]
    modules = [module_of(provider) for provider in providers if provider.distribution not in {f.name for f in files}]
    modules += [plugin for plugin in request["plugins"] if not plugin.endswith(".py")]
    tops = {module.partition(".")[0] for module in modules}
    found = {name: source.find_root(name) for name in sorted(tops)}
    roots = {name: root for name, root in found.items() if root is not None} | {file.name: file for file in files}
    unread = list(roots.values())
    while unread:
        for name in sorted(source.imported_names(unread.pop()) - roots.keys() - {"ganbench"}):
            root = source.find_root(name)
            if root is not None and (name in request["held"] or not source.is_installed(root)):
                roots[name] = root
                unread.append(root)
    return {"ganbench": source.find_root("ganbench"), **roots}


def module_of(provider: Any) -> str:
    """The module behind a plugin; an earlier ganbench told its entry point alone."""
    for point in entry_points(group="ganbench", name=provider.entry_point):
        if point.dist is None or point.dist.name == provider.distribution:
            return point.module
    return getattr(provider, "module", provider.entry_point)


def files_in_checkouts(paths: set[str], request: Json) -> dict[str, str]:
    """Hashes of files and folders that lie in the repository, but for code, which counts by its packages."""
    source = source_module(request)
    hashes = {}
    for path in map(Path, paths):
        for checkout in request["checkouts"]:
            if path.resolve().is_relative_to(checkout) and path.suffix not in (".py", ".pyc"):
                name = path.resolve().relative_to(checkout)
                installed = path.resolve().is_relative_to(sys.prefix) or source.INSTALLED & set(name.parts)
                if not installed and ".git" not in name.parts:
                    hashes[name.as_posix()] = source.hash_files(source.all_files(path))
                break
    return hashes


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
