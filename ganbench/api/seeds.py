"""Run a benchmark with several seeds: the function behind `ganbench run --seeds` and `ganbench.run_seeds`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from ganbench.errors import GanbenchError, UsageError, restated
from ganbench.plugin.registry import Registry
from ganbench.reporting.display import Display, choose_display
from ganbench.results.layout import seed_run
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.seeds import with_seed
from ganbench.system.files import StrPath
from ganbench.system.launcher import Launcher

from .arguments import as_integer, check_overrides, items, optional_path
from .finished import Run
from .run import run_arguments, training_overrides
from .spec import resolve_spec


def run_seeds(
    benchmark: StrPath | BenchmarkSpec,
    seeds: Iterable[int],
    *overrides: str,
    epochs: int | None = None,
    steps: int | None = None,
    budget: str | float | None = None,
    precision: str | None = None,
    device: str = "auto",
    out: StrPath | None = None,
    plugins: StrPath | Iterable[StrPath] = (),
    data_dir: StrPath | None = None,
    track: str | Iterable[str] | None = (),
    quiet: bool = False,
    verify_engine: int | None = None,
    profile: bool = False,
    window_seconds: float | None = None,
) -> list[Run]:
    """Train, time and score a benchmark once with each seed, and return the runs in the order of the seeds.

    On a GPU, up to four seeds are trained at once if they fit into its memory, their steps are captured as CUDA graphs
    and change no globals, and there is no time budget; otherwise, they are trained one after another. Each run equals
    the one that `run` makes with its seed, but the speed of seeds that are trained at once is marked as disturbed, and
    their memory and energy are unknown.

    `out` is a new folder for the run directories `seed-1`, `seed-2` and so on; by default, one in runs/BENCHMARK. The
    other arguments are those of `run`. Ctrl-C ends all runs; those that had not started are not returned.

    Raises the errors of `run`; that of a seed whose training had begun is raised when the other seeds have ended.
    """
    trained = train_seeds(
        benchmark,
        seeds,
        *overrides,
        make_display=lambda: choose_display(quiet),
        epochs=epochs,
        steps=steps,
        budget=budget,
        precision=precision,
        device=device,
        out=out,
        plugins=plugins,
        data_dir=data_dir,
        track=track,
        verify_engine=verify_engine,
        profile=profile,
        window_seconds=window_seconds,
    )
    runs = []
    for folder, outcome in trained.outcomes.items():
        if isinstance(outcome, GanbenchError):
            message = f"{folder.name}: {outcome}. The runs of the other seeds have ended; they are in {trained.folder}"
            raise restated(outcome, message) from outcome
        runs.append(Run(folder, result=outcome, device=str(device), plugins=[]))
    return runs


@dataclass(frozen=True)
class TrainedSeeds:
    """The runs of several seeds."""

    folder: Path  # contains all run directories
    outcomes: dict[Path, Result | GanbenchError]  # by run directory: the result, or the error that ended training
    not_started: list[Path]  # because the runs before were interrupted
    registry: Registry


class RunOptions(TypedDict):
    """The options that `run` and `run_seeds` share."""

    epochs: int | None
    steps: int | None
    budget: str | float | None
    precision: str | None
    device: str
    out: StrPath | None
    plugins: StrPath | Iterable[StrPath]
    data_dir: StrPath | None
    track: str | Iterable[str] | None
    verify_engine: int | None
    profile: bool
    window_seconds: float | None


def train_seeds(
    benchmark: StrPath | BenchmarkSpec,
    seeds: Iterable[int],
    *overrides: str,
    make_display: Callable[[], Display],
    **options: Unpack[RunOptions],
) -> TrainedSeeds:
    """Like `run_seeds`, but with errors among the outcomes. `make_display` makes one for the seeds trained at once.

    Raises only errors that occur before training.
    """
    if Launcher.of_this_process().size > 1:
        raise UsageError("seeds: a run over several processes has one seed; use a suite with `processes` instead")
    changes = check_overrides(overrides)
    if any(change.partition("=")[0].strip() == "training.seed" for change in changes):
        raise UsageError("seeds and -o training.seed are mutually exclusive; remove one of them")
    length = training_overrides(options["epochs"], options["steps"], options["budget"], options["precision"])
    found = resolve_spec(benchmark, [*changes, *length], options["plugins"])
    specs = with_seeds(found.spec, seeds)
    folder = RunDirectory(found.spec.name, optional_path("out", options["out"])).path  # which must be new
    folders = [seed_run(folder, spec.training.seed) for spec in specs]
    arguments = run_arguments(
        found,
        device=options["device"],
        data_dir=options["data_dir"],
        track=options["track"],
        verify_engine=options["verify_engine"],
        profile=options["profile"],
        window_seconds=options["window_seconds"],
    )

    from ganbench.training.seeds import train_specs

    outcomes = train_specs(dict(zip(folders, specs, strict=True)), make_display, arguments)
    return TrainedSeeds(folder, outcomes, folders[len(outcomes) :], found.registry)


def with_seeds(spec: BenchmarkSpec, seeds: Iterable[int]) -> list[BenchmarkSpec]:
    """Return the spec with each of the seeds. Raises `UsageError` for an invalid seed, a repeated one, or none."""
    specs: dict[int, BenchmarkSpec] = {}
    for given in items("seeds", seeds, "a list of integers"):
        seed = as_integer(given)
        if seed is None or not 0 <= seed < 2**63:
            raise UsageError(f"seeds: {given!r} is not an integer from 0 to 2^63 - 1")
        if seed in specs:
            raise UsageError(f"seeds: {seed} is given twice")
        specs[seed] = with_seed(spec, seed)
    if not specs:
        raise UsageError("seeds: give at least one")
    return list(specs.values())
