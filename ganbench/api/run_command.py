"""`ganbench run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ganbench.errors import ExitCode
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    Track,
    err,
    out,
    print_json,
    warn_on_error,
)
from ganbench.reporting.report_command import write_report
from ganbench.spec.plugins import load_registry
from ganbench.system.launcher import Launcher

STATUS_EXIT_CODES = {
    "completed": ExitCode.DONE,
    "interrupted": ExitCode.INTERRUPTED,
    "diverged": ExitCode.FAILED,
    "failed": ExitCode.FAILED,
}


def run(
    benchmark: Annotated[
        str | None, typer.Argument(metavar="BENCHMARK", help="Registered name or TOML file; omit it with --resume.")
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - never modified
    plugins: PluginArguments = [],  # noqa: B006
    epochs: Annotated[int | None, typer.Option(help="Length in epochs, at least 1; default: the spec's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length in steps, at least 1, instead of epochs.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="90s|5m|2h", help="Stop after this training time, without warm-up and scoring."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed, at least 0; default: the spec's.")] = None,
    device: Device = "auto",
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|tf32|bf16", help="Floating-point precision for training; default: the spec's."),
    ] = None,
    verify_engine: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEPS",
            help="First check over this many steps that the CUDA graph is bitwise identical to eager execution.",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Profile some steps before training and show the time per kernel.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run directory; default: a new one, runs/BENCHMARK/ID."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Resume the run in this directory.")] = None,
    track: Track = [],  # noqa: B006
    with_report: Annotated[
        bool, typer.Option("--report", help="Also write the result as one HTML page, report.html in the run directory.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train, time and score a benchmark."""
    from ganbench.reporting.display import terminal_display
    from ganbench.reporting.result_tables import show_result

    from .run import run as start

    console = err if as_json else out
    finished = start(
        benchmark,
        *overrides,
        epochs=epochs,
        steps=steps,
        budget=budget,
        seed=seed,
        precision=precision,
        device=device,
        out=directory,
        resume=resume,
        plugins=plugins,
        data_dir=data_dir,
        track=track,
        display=terminal_display(console),
        verify_engine=verify_engine,
        profile=profile,
    )
    if Launcher.of_this_process().is_first:
        with warn_on_error("the result tables"):
            show_result(console, finished.result, finished.directory)
        if with_report:
            with warn_on_error("the report"):
                registry = load_registry(plugins, resume=finished.directory)
                write_report([finished.directory], finished.directory / "report.html", registry, console)
        if as_json:
            print_json(json.loads(finished.result.to_json()))
    raise typer.Exit(STATUS_EXIT_CODES[finished.result.status])
