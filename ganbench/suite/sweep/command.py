"""`ganbench sweep`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ganbench.errors import UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    PluginArguments,
    err,
    given_path,
    out,
    print_json,
    print_text,
    print_warning,
    warn_on_error,
)
from ganbench.results.layout import new_id
from ganbench.spec.plugins import load_registry
from ganbench.system.files import exists, explained_write, is_dir
from ganbench.system.locks import LOCK, locked_folder
from ganbench.system.signals import interrupt_on_signals

if TYPE_CHECKING:
    from rich.console import Console

    from .sweep import Sweep

Ranges = Annotated[
    list[str],
    typer.Option(
        "-o",
        "--override",
        metavar="PATH=FROM:TO:N[:log]",
        help="One or two ranges, and any number of plain PATH=VALUE.",
    ),
]


def sweep(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="Registered name or TOML file.")],
    overrides: Ranges = [],  # noqa: B006 - never modified
    plugins: PluginArguments = [],  # noqa: B006
    factor: Annotated[
        float,
        typer.Option(
            min=1.0, help="Factor by which the first ranked score improves (converged) or worsens (diverged)."
        ),
    ] = 2.0,
    theory: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Function from a spec to its predicted convergence rate per step, to compare outcomes with.",
        ),
    ] = None,
    device: Device = "auto",
    directory: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            parser=given_path,
            help="New folder for sweep.csv and sweep.png; default: sweeps/BENCHMARK/ID.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a benchmark over a grid of one or two parameters and show where it converges and diverges."""
    from ganbench.spec.benchmark import BenchmarkSpec
    from ganbench.spec.loading import load_spec

    from .axis import split_overrides
    from .sweep import Messages, Sweep, SweepPoint, load_theory, plan_trials, run_trials

    plain, axes = split_overrides(overrides)
    registry = load_registry(plugins, benchmark)

    def load(values: Sequence[str]) -> BenchmarkSpec:
        return load_spec(benchmark, registry, [*plain, *values])

    # reports invalid specs before anything is trained
    planned = plan_trials(load, axes, load_theory(theory) if theory else None)
    folder = directory or default_folder(benchmark)
    table = folder / "sweep.csv"
    points: list[SweepPoint] = []
    stored = 0  # how many of them are in the file

    def so_far() -> Sweep:
        return Sweep(planned[0].spec.name, tuple(axes), factor, tuple(points))

    try:
        with new_folder(folder), interrupt_on_signals(), Progress(console=err, transient=True) as progress:
            from ganbench.training.trial import run_trial

            messages = Messages(print_warning)
            trials = run_trials(planned, lambda spec: run_trial(spec, device, data_dir, messages))
            for point in progress.track(trials, total=len(planned), description="training"):
                points.append(point)
                with explained_write(table):
                    so_far().write_csv(table)
                stored = len(points)
    except BaseException:  # Ctrl-C as well
        if stored:
            print_text(err, f"the {stored} points so far are in {table}")
        if stored < len(points):
            show(err, so_far())
        raise
    completed = so_far()
    with warn_on_error("drawing sweep.png"):
        from .plot import save_plot

        save_plot(completed, folder / "sweep.png")
    if as_json:
        from .sweep_json import SweepRecord

        print_json(SweepRecord.of(completed, folder).model_dump(mode="json"))
    else:
        show(out, completed)
        print_text(out, f"files in {folder}: sweep.csv, sweep.png")


def show(console: Console, sweep: Sweep) -> None:
    from ganbench.reporting.formatting import number

    table = Table("Outcome", "Points", title=escape(f"{sweep.benchmark}: {sweep.metric}"), title_justify="left")
    for outcome, count in sorted(Counter(sweep.outcomes()).items()):
        table.add_row(outcome, str(count))
    console.print(table)
    if len(sweep.axes) == 1:
        for outcome, first, last in sweep.intervals():
            print_text(console, f"{sweep.axes[0].path} from {first:g} to {last:g}: {outcome}")
    if best := sweep.best():
        where = ", ".join(f"{axis.path}={value:g}" for axis, value in zip(sweep.axes, best.values, strict=True))
        print_text(console, f"best: {where}: {number(best.trial.final[sweep.metric])}")
    if agreement := sweep.agrees_with_theory():
        points = f"{agreement.count(True)} of {len(agreement)} points that converged or diverged"
        console.print(f"agrees with theory: {points}")


def default_folder(benchmark: str) -> Path:
    return Path("sweeps") / Path(benchmark).stem / new_id(datetime.now(UTC))


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Create and lock the folder for the sweep's files; if the block fails and leaves it empty, remove it again.

    Raises `UsageError` if it is a file or not empty, or if another sweep is writing to it.
    """
    is_new = not exists(folder)
    if not is_new and not is_dir(folder):
        raise UsageError(f"{folder}: this is a file; choose another with --out")
    in_use = "another sweep is writing to it; choose another with --out"
    with explained_write(folder):
        folder.mkdir(parents=True, exist_ok=True)
    require_empty(folder)
    with locked_folder(folder, str(folder), in_use, "do not start a second sweep in it"):
        require_empty(folder)  # again: another sweep may have ended since
        try:
            yield
        except BaseException:
            with suppress(OSError):
                if {*folder.iterdir()} == {folder / LOCK}:
                    (folder / LOCK).unlink()
                    if is_new:
                        folder.rmdir()
            raise


def require_empty(folder: Path) -> None:
    if any(file.name != LOCK for file in folder.iterdir()):
        raise UsageError(f"{folder}: not empty; choose another with --out")
