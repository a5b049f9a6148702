"""Run a benchmark with several seeds: the function behind `ganbench run --seeds` and `ganbench.run_seeds`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import clear_frames
from typing import Any

from ganbench.errors import GanbenchError, UsageError, causes, restated
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.registry import Registry
from ganbench.reporting.console import warn_on_error
from ganbench.reporting.display import Display, choose_display
from ganbench.results.layout import has_result
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.seeds import AT_ONCE, may_train_at_once, with_seed
from ganbench.spec.trackers import choose_trackers
from ganbench.system.files import StrPath
from ganbench.system.launcher import Launcher

from .arguments import as_integer, check_overrides, items, optional_count, optional_path, seconds, tracker_texts
from .finished import Run
from .run import training_overrides
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
    other arguments are those of `run`. Ctrl-C ends all runs; those that had not begun are not returned.

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
    not_begun: list[Path]  # because the runs before were interrupted
    registry: Registry


def train_seeds(
    benchmark: StrPath | BenchmarkSpec,
    seeds: Iterable[int],
    *overrides: str,
    make_display: Callable[[], Display],
    epochs: int | None,
    steps: int | None,
    budget: str | float | None,
    precision: str | None,
    device: str,
    out: StrPath | None,
    plugins: StrPath | Iterable[StrPath],
    data_dir: StrPath | None,
    track: str | Iterable[str] | None,
    verify_engine: int | None,
    profile: bool,
    window_seconds: float | None = None,
) -> TrainedSeeds:
    """Like `run_seeds`, but with errors among the outcomes. `make_display` makes one for the seeds trained at once.

    Raises only errors that occur before training.
    """
    if Launcher.of_this_process().size > 1:
        raise UsageError("seeds: a run over several processes has one seed; use a suite with `processes` instead")
    changes = check_overrides(overrides)
    if any(change.partition("=")[0].strip() == "training.seed" for change in changes):
        raise UsageError("seeds and -o training.seed exclude each other; remove one of them")
    found = resolve_spec(benchmark, [*changes, *training_overrides(epochs, steps, budget, precision)], plugins)
    specs = with_seeds(found.spec, seeds)
    folder = RunDirectory(found.spec.name, optional_path("out", out)).path  # which must be new
    folders = [folder / f"seed-{spec.training.seed}" for spec in specs]
    trackers = [] if track is None else choose_trackers(tracker_texts(track), found.spec.name, found.registry)

    from ganbench.training.timing import WINDOW_SECONDS

    outcomes = train_specs(
        dict(zip(folders, specs, strict=True)),
        make_display,
        device=str(device),
        data_dir=optional_path("data_dir", data_dir),
        published_curve=found.published_curve,
        trackers=trackers,
        verify_engine=optional_count("verify_engine", verify_engine),
        profile=profile,
        window_seconds=seconds("window_seconds", window_seconds, WINDOW_SECONDS),
    )
    return TrainedSeeds(folder, outcomes, folders[len(outcomes) :], found.registry)


def train_specs(
    specs: Mapping[Path, BenchmarkSpec], make_display: Callable[[], Display], *, device: str, **arguments: Any
) -> dict[Path, Result | GanbenchError]:
    """Train specs that differ only in their seed, by run directory: on a GPU several at once, else one after another.

    `arguments` are those of `training.runner.run`. Returns the results, or the errors that ended training, in the same
    order; after an interruption, only those of the runs that had begun. Raises only errors that occur before training.
    """
    from ganbench.runtime.device import resolve_device
    from ganbench.training.interrupt import Interrupt
    from ganbench.training.runner import run
    from ganbench.training.seeds import run_at_once

    on_gpu = resolve_device(device).type == "cuda"
    size = AT_ONCE if on_gpu and all(map(may_train_at_once, specs.values())) else 1
    outcomes: dict[Path, Result | GanbenchError] = {}
    while len(outcomes) < len(specs):
        directories = list(specs)[len(outcomes) :][:size]
        group = [specs[directory] for directory in directories]
        display, interrupt = make_display(), Interrupt()
        ended: list[Result | GanbenchError]
        try:
            if len(group) > 1:
                displays = [display, *(WarningsOfSeed(display, spec.training.seed) for spec in group[1:])]
                ended = run_at_once(group, directories, displays, interrupt, device=device, **arguments)
            else:
                spec, directory = group[0], directories[0]
                result, _ = run(spec, out=directory, display=display, interrupt=interrupt, device=device, **arguments)
                ended = [result]
        except GanbenchError as error:
            if not outcomes and not has_result(directories[0]):  # nothing has been trained
                raise
            ended = [error]
        except KeyboardInterrupt:
            if not outcomes:
                raise
            break
        finally:
            with warn_on_error("the display"):
                display.stop()
        outcomes |= zip(directories, ended, strict=False)
        if interrupt.requested:
            break
        free_memory_of(ended)
    return outcomes


def free_memory_of(ended: Iterable[Result | GanbenchError]) -> None:
    """Free the networks of runs, which the frames of errors and reference cycles hold, for the runs that follow."""
    for outcome in ended:
        if isinstance(outcome, GanbenchError):
            for cause in causes(outcome):
                clear_frames(cause.__traceback__)
    gc.collect()


class WarningsOfSeed(Callback):
    """Passes the warnings of a run to the display of the run that is trained at once with it."""

    def __init__(self, display: Display, seed: int) -> None:
        self.display = display
        self.seed = seed

    def on_warning(self, message: str) -> None:
        self.display.on_warning(f"seed {self.seed}: {message}")


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
