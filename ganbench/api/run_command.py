"""`ganbench run`, with one seed or several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ganbench.errors import UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    Track,
    err,
    given_path,
    out,
    print_json,
    warn_on_error,
)
from ganbench.reporting.report_command import write_report
from ganbench.results.layout import REPORT
from ganbench.spec.plugins import load_registry
from ganbench.system.launcher import Launcher

from .exit_codes import STATUS_EXIT_CODES, exit_code

if TYPE_CHECKING:
    from .seeds import RunOptions


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
        typer.Option(metavar="90s|5m|2h", help="Stop after this much training time, excluding warm-up and scoring."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed, at least 0; default: the spec's.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="1,2,3", help="Run once with each seed: several at once on a GPU, else one by one."),
    ] = None,
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
        typer.Option(
            "--out",
            metavar="DIR",
            parser=given_path,
            help="Run directory, or with --seeds their folder; default: runs/BENCHMARK/ID.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", parser=given_path, help="Resume the run in this directory.")
    ] = None,
    track: Track = [],  # noqa: B006
    with_report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Also write the result as one HTML page: report.html in the run directory, or with --seeds in their "
            "folder.",
        ),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train, time and score a benchmark."""
    common: RunOptions = {
        "epochs": epochs,
        "steps": steps,
        "budget": budget,
        "precision": precision,
        "device": device,
        "out": directory,
        "plugins": plugins,
        "data_dir": data_dir,
        "track": track,
        "verify_engine": verify_engine,
        "profile": profile,
        "window_seconds": None,
    }
    if seeds is None:
        run_one(benchmark, overrides, seed, resume, common, with_report, as_json)
    elif benchmark is None or seed is not None or resume is not None:
        raise UsageError("--seeds starts new runs of a benchmark: give BENCHMARK, and omit --seed and --resume")
    else:
        run_several(benchmark, overrides, parse_seeds(seeds), common, with_report, as_json)


def run_one(
    benchmark: str | None,
    overrides: list[str],
    seed: int | None,
    resume: Path | None,
    options: RunOptions,
    with_report: bool,
    as_json: bool,
) -> NoReturn:
    """Run a benchmark, show its result, and exit with the code of its status."""
    from ganbench.plugin.registry import plugin_names
    from ganbench.reporting.display import terminal_display
    from ganbench.reporting.result_tables import show_result

    from .run import run

    console = err if as_json else out
    display = terminal_display(console)
    finished = run(benchmark, *overrides, **options, seed=seed, resume=resume, display=display)
    if Launcher.of_this_process().is_first:
        with warn_on_error("the result tables"):
            show_result(console, finished.result, finished.directory)
        if with_report or (finished.directory / REPORT).exists():  # an earlier report would be outdated
            with warn_on_error("the report"):
                registry = load_registry(plugin_names(options["plugins"]), use=[finished.directory])
                write_report([finished.directory], finished.directory / REPORT, registry, console)
        if as_json:
            print_json(json.loads(finished.result.to_json()))
    raise typer.Exit(STATUS_EXIT_CODES[finished.result.status])


def run_several(
    benchmark: str, overrides: list[str], seeds: list[int], options: RunOptions, with_report: bool, as_json: bool
) -> NoReturn:
    """Run a benchmark with several seeds, show their results, and exit with the code of the worst status."""
    from ganbench.reporting.display import terminal_display
    from ganbench.reporting.seed_tables import show_seeds
    from ganbench.results.layout import has_result
    from ganbench.results.schema import load_result

    from .seeds import train_seeds

    console = err if as_json else out
    trained = train_seeds(benchmark, seeds, *overrides, **options, make_display=lambda: terminal_display(console))
    with warn_on_error("the result tables"):
        show_seeds(console, trained.outcomes, trained.not_started, trained.folder)
    if with_report:
        with warn_on_error("the report"):
            write_report([trained.folder], trained.folder / REPORT, trained.registry, console)
    if as_json:
        stored = [load_result(folder) for folder in trained.outcomes if has_result(folder)]
        print_json([json.loads(result.to_json()) for result in stored])
    raise typer.Exit(exit_code(trained.outcomes.values(), trained.not_started))


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of "1,2,3". Raises `UsageError` for anything else."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise UsageError(f"--seeds {text}: expected integers separated by commas, such as 1,2,3") from None
