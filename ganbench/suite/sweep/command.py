"""The command line of a sweep."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from ganbench.errors import UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    PluginArguments,
    err,
    load_registry,
    out,
    print_json,
    warn_on_error,
)

if TYPE_CHECKING:
    from .sweep import Sweep

Ranges = Annotated[
    list[str],
    typer.Option(
        "-o", "--override", metavar="PATH=FROM:TO:N[:log]", help="One or two ranges, and any plain PATH=VALUE."
    ),
]


def sweep(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="A registered name or a TOML file.")],
    overrides: Ranges = [],  # noqa: B006 - typer reads it, nothing writes it
    plugins: PluginArguments = [],  # noqa: B006
    factor: Annotated[
        float, typer.Option(min=1.0, help="By how much the first metric has to get better or worse to count as either.")
    ] = 2.0,
    device: Device = "auto",
    directory: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where sweep.csv and sweep.png are written.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Try a benchmark over a grid of one or two parameters: where it converges, and where it diverges."""
    from ganbench.spec.benchmark import BenchmarkSpec, load_spec

    from .axis import split_overrides
    from .sweep import (
        Point,
        Sweep,
        plan,
        try_points,
    )

    plain, axes = split_overrides(overrides)
    registry = load_registry(plugins, benchmark)

    def load(values: Sequence[str]) -> BenchmarkSpec:
        return load_spec(benchmark, registry, [*plain, *values])[0]

    tasks = plan(load, axes)  # what is wrong is told before anything is trained
    folder = new_folder(benchmark, directory)
    from ganbench.training.interrupt import sigterm_as_ctrl_c
    from ganbench.training.trial import try_out

    points: list[Point] = []

    def written() -> Sweep:
        swept = Sweep(tasks[0].spec.name, tuple(axes), factor, tuple(points))
        swept.write_csv(folder / "sweep.csv")
        return swept

    try:
        with sigterm_as_ctrl_c(), Progress(console=err, transient=True) as progress:
            trials = try_points(tasks, lambda spec: try_out(spec, device, data_dir))
            for point in progress.track(trials, total=len(tasks), description="trying"):
                points.append(point)
    except BaseException:  # Ctrl-C as well
        if points:
            written()
            err.print(f"the {len(points)} points so far are in {folder / 'sweep.csv'}", markup=False, soft_wrap=True)
        else:
            folder.rmdir()
        raise
    swept = written()
    with warn_on_error("drawing sweep.png"):
        from .plot import save_map

        save_map(swept, folder / "sweep.png")
    if as_json:
        print_json(as_record(swept, folder))
    else:
        show(swept, folder)


def show(swept: Sweep, folder: Path) -> None:
    from ganbench.reporting.formatting import number

    table = Table("State", "Points", title=f"{swept.benchmark}: {swept.metric}", title_justify="left")
    for state, count in sorted(Counter(swept.states()).items()):
        table.add_row(state, str(count))
    out.print(table)
    if len(swept.axes) == 1:
        for state, first, last in swept.changes():
            out.print(f"{swept.axes[0].path} from {first:g} to {last:g}: {state}", markup=False, highlight=False)
    if best := swept.best():
        where = ", ".join(f"{axis.path}={value:g}" for axis, value in zip(swept.axes, best.values, strict=True))
        out.print(f"best: {where}: {number(best.trial.last[swept.metric])}", markup=False, highlight=False)
    if told := swept.as_in_theory():
        out.print(f"as in theory: {told.count(True)} of the {len(told)} points that converged or diverged")
    out.print(f"files in {folder}: sweep.csv, sweep.png", markup=False, highlight=False, soft_wrap=True)


def as_record(swept: Sweep, folder: Path) -> dict[str, Any]:
    """As plain JSON types."""
    best = swept.best()
    told = swept.as_in_theory()
    return {
        "benchmark": swept.benchmark,
        "metric": swept.metric,
        "states": dict(Counter(swept.states())),
        "best": None
        if best is None
        else {axis.path: value for axis, value in zip(swept.axes, best.values, strict=True)},
        "as_in_theory": {"points": told.count(True), "of": len(told)} if told else None,
        "files": [str(folder / file) for file in ("sweep.csv", "sweep.png")],
    }


def new_folder(benchmark: str, directory: Path | None) -> Path:
    """Make the folder that the sweep is written to. Raises `UsageError` if it cannot be made, or holds something."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    folder = directory or Path("sweeps") / Path(benchmark).stem / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot write there: {error.strerror}") from None
    if any(folder.iterdir()):
        raise UsageError(f"{folder}: it is not empty; choose another with --out")
    return folder
