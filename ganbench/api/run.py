"""Start a run: the function behind `ganbench run` and `ganbench.run`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ganbench.errors import UsageError
from ganbench.plugin.callbacks import Callback
from ganbench.reporting.console import warn_on_error
from ganbench.reporting.display import Display, choose_display
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.launch import read_launch
from ganbench.spec.trackers import choose_trackers
from ganbench.system.files import StrPath
from ganbench.training.arguments import WINDOW_SECONDS, RunArguments

from .arguments import optional_count, optional_path, seconds, tracker_texts
from .finished import Run
from .spec import FoundSpec, resolve_spec, resolve_stopped_spec


def run(
    benchmark: StrPath | BenchmarkSpec | None = None,
    *overrides: str,
    epochs: int | None = None,
    steps: int | None = None,
    budget: str | float | None = None,
    seed: int | None = None,
    precision: str | None = None,
    device: str = "auto",
    out: StrPath | None = None,
    resume: StrPath | None = None,
    plugins: StrPath | Iterable[StrPath] = (),
    data_dir: StrPath | None = None,
    track: str | Iterable[str] | None = (),
    quiet: bool = False,
    display: Display | None = None,
    callback: Callback | None = None,
    verify_engine: int | None = None,
    profile: bool = False,
    window_seconds: float | None = None,
) -> Run:
    """Train, time and score a benchmark, as `ganbench run` does, and return the run.

    - `benchmark`: a registered name, the path of a TOML file, or a spec from `load_spec`; omit it with `resume`.
    - `overrides`: strings "PATH=VALUE", such as "training.batch_size=128" or "loss=hinge".
    - `epochs`, `steps`, `budget`, `seed`, `precision`: short for overrides of `training`. A budget is a number of
      seconds or a text such as "5m", and excludes warm-up and scoring.
    - `device`: "auto", "cpu", "cuda" or "cuda:N".
    - `out`: a new run directory; by default one in runs/BENCHMARK.
    - `resume`: the directory of an earlier run, to continue it from its checkpoint.
    - `plugins`: files or modules of plugins that are not installed, one or several.
    - `data_dir`: folder that holds the datasets.
    - `track`: names of trackers, or TOML tables with their options such as '{name = "wandb", mode = "offline"}', one or
      several, in addition to those of the benchmark, of the user's configuration, and of the resumed run; None: no
      trackers at all.
    - `quiet`: show no progress; warnings are then Python warnings.
    - `display`: shows the progress, instead of the terminal or the notebook.
    - `callback`: also receives the events of the run.
    - `verify_engine`: number of steps over which a CUDA graph must be bitwise identical to eager execution, before
      training.
    - `profile`: profile some steps before training.
    - `window_seconds`: the approximate length of a timing window.

    Ctrl-C, or interrupting the notebook's kernel, ends training after the current step; the generator is scored, and
    the returned run has the status "interrupted". A run that diverges is returned too. During the run, torch's
    process-wide settings are those of a fresh process; afterwards, they and the random number generators are as before.

    Raises a subclass of `GanbenchError`, with the message of the command line, for errors that a user can cause.
    """
    if (benchmark is None) == (resume is None):
        raise UsageError("pass either BENCHMARK or --resume DIR; `ganbench list benchmarks` lists the benchmarks")
    if resume is not None and out is not None:
        raise UsageError("--resume continues in the run's own directory; omit --out")
    stopped = optional_path("resume", resume)
    changes = [*overrides, *training_overrides(epochs, steps, budget, precision, seed)]
    found = (
        resolve_spec(benchmark, changes, plugins)
        if stopped is None
        else resolve_stopped_spec(stopped, changes, plugins)
    )
    recorded = [] if stopped is None else read_launch(stopped).trackers
    arguments = run_arguments(
        found,
        recorded,
        device=device,
        data_dir=data_dir,
        track=track,
        verify_engine=verify_engine,
        profile=profile,
        window_seconds=window_seconds,
    )

    from ganbench.training.runner import run as run_spec

    display = display or choose_display(quiet)
    try:
        result, directory = run_spec(
            found.spec, arguments, out=optional_path("out", out), resume=stopped, display=display, callback=callback
        )
    finally:
        with warn_on_error("the display"):
            display.stop()
    return Run(directory.path, result=result, device=str(device), plugins=[])


def run_arguments(
    found: FoundSpec,
    recorded: Iterable[Mapping[str, Any]] = (),
    *,
    device: str,
    data_dir: StrPath | None,
    track: str | Iterable[str] | None,
    verify_engine: int | None,
    profile: bool,
    window_seconds: float | None,
) -> RunArguments:
    """Return the arguments of `run` that are not part of the spec; `recorded` are the trackers of the resumed run."""
    trackers = [] if track is None else choose_trackers(tracker_texts(track), found.spec.name, found.registry, recorded)
    return RunArguments(
        device=str(device),
        data_dir=optional_path("data_dir", data_dir),
        published_curve=found.published_curve,
        trackers=trackers,
        verify_engine=optional_count("verify_engine", verify_engine),
        profile=profile,
        window_seconds=seconds("window_seconds", window_seconds, WINDOW_SECONDS),
    )


def training_overrides(
    epochs: int | None,
    steps: int | None,
    budget: str | float | None,
    precision: str | None,
    seed: int | None = None,
) -> list[str]:
    """Return the overrides of `training` for which arguments that are not None are short."""
    fields = {
        "epochs": epochs,
        "steps": steps,
        "budget_seconds": parse_duration(budget) if isinstance(budget, str) else budget,
        "seed": seed,
        "precision": precision,
    }
    return [f"training.{field}={value}" for field, value in fields.items() if value is not None]


def parse_duration(text: str) -> float:
    """Convert "90s", "5m" or "2h" to seconds. Raises `UsageError` for anything else, such as a bare number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match:
        raise UsageError(f"--budget {text}: give a number and a unit, such as 90s, 5m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
