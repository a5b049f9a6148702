"""`ganbench baseline record` and `show`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ganbench.gate.lengths import STORED_SESSIONS, WINDOW_SECONDS, WINDOWS
from ganbench.gate.options import (
    BenchmarkArgument,
    QualityOption,
    SmokeOption,
    WindowSecondsOption,
    WindowsOption,
    make_config,
)
from ganbench.reporting.console import (
    AsJson,
    Command,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    Query,
    out,
    print_json,
    print_text,
)
from ganbench.system.files import require_output_file
from ganbench.system.signals import interrupt_once


@interrupt_once()
def record(
    benchmark: BenchmarkArgument,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Baseline file; extended if it exists.")],
    sessions: Annotated[int, typer.Option(min=1, help="Number of sessions to measure.")] = STORED_SESSIONS,
    smoke: SmokeOption = True,
    quality: QualityOption = False,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    plugins: PluginArguments = [],  # noqa: B006
    windows: WindowsOption = WINDOWS,
    window_seconds: WindowSecondsOption = WINDOW_SECONDS,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Measure sessions and training runs, and store them to check against later."""
    from dataclasses import replace

    from .recording import record_into

    require_output_file(file, "--out")
    config = make_config(benchmark, overrides, plugins, device, data_dir, windows, window_seconds)
    config = replace(config, smoke=smoke, quality=quality, sessions=sessions, log=partial(print_text, out))
    recorded = record_into(file, config)
    print_text(out, f"{len(recorded.sessions)} sessions in {file}")


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Baseline file.")],
    as_json: AsJson = False,
) -> None:
    """Show the contents of a baseline."""
    from ganbench.gate.check_tables import baseline_table

    from .stored import load_baseline

    baseline = load_baseline(file)
    if as_json:
        print_json(baseline.model_dump(mode="json"))
    else:
        out.print(baseline_table(str(file), baseline))


baseline = typer.Typer(no_args_is_help=True, help="Record and inspect baselines for `check --baseline`.")
baseline.command(cls=Command)(record)
baseline.command(cls=Query)(show)
