"""The command line of a sweep."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from ganbench.console import AsJson, DataDir, Device, PluginArguments, err, load_registry, out, print_json
from ganbench.errors import UsageError

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
        float, typer.Option(min=1.0, help="What the first metric has to fall or grow by to count as either.")
    ] = 2.0,
    device: Device = "auto",
    directory: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where sweep.csv and sweep.png are written.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Try a benchmark over a grid of one or two parameters: where it converges, and where it diverges."""
    from ganbench.spec import BenchmarkSpec, load_spec

    from .axis import split_overrides
    from .plot import save_map
    from .sweep import sweep as try_grid

    plain, axes = split_overrides(overrides)
    folder = new_folder(benchmark, directory)
    registry = load_registry(plugins)

    def load(values: Sequence[str]) -> BenchmarkSpec:
        return load_spec(benchmark, registry, [*plain, *values])[0]

    load([axis.override(axis.values[0]) for axis in axes])  # what is wrong is told before torch is imported
    from ganbench.training.trial import try_out

    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("trying", total=prod(len(axis.values) for axis in axes))
        swept = try_grid(
            load, axes, lambda spec: try_out(spec, device, data_dir), factor, lambda: progress.advance(task)
        )
    folder.mkdir(parents=True, exist_ok=True)
    swept.write_csv(folder / "sweep.csv")
    save_map(swept, folder / "sweep.png")

    counts = Counter(swept.states())
    told = swept.as_in_theory()
    if as_json:
        print_json(
            {
                "benchmark": swept.benchmark,
                "metric": swept.metric,
                "states": dict(counts),
                "as_in_theory": {"points": told.count(True), "of": len(told)} if told else None,
                "files": [str(folder / name) for name in ("sweep.csv", "sweep.png")],
            }
        )
        return
    table = Table("State", "Points", title=f"{swept.benchmark}: {swept.metric}", title_justify="left")
    for state, count in sorted(counts.items()):
        table.add_row(state, str(count))
    out.print(table)
    if len(axes) == 1:
        for state, first, last in swept.changes():
            out.print(f"{axes[0].path} from {first:g} to {last:g}: {state}", markup=False, highlight=False)
    if told:
        out.print(f"as in theory: {told.count(True)} of the {len(told)} points that converged or diverged")
    out.print(f"files in {folder}: sweep.csv, sweep.png", markup=False, highlight=False, soft_wrap=True)


def new_folder(benchmark: str, directory: Path | None) -> Path:
    """Where the sweep is written. Raises `UsageError` if one is there already."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    folder = directory or Path("sweeps") / Path(benchmark).stem / name
    if (folder / "sweep.csv").exists() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder}: there is a sweep already; choose another folder with --out")
    return folder
