"""`ganbench check` and `ganbench calibrate`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.errors import ExitCode, GanbenchError, UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    err,
    out,
    print_error,
    print_json,
    print_text,
)
from ganbench.system.files import require_output_file
from ganbench.system.signals import interrupt_once

from .lengths import FRESH_SESSIONS, MAX_BLOCKS, WINDOW_SECONDS, WINDOWS
from .options import (
    BenchmarkArgument,
    BlocksOption,
    OrderSeedOption,
    QualityOption,
    SequentialOption,
    SmokeOption,
    SpeedOption,
    WindowSecondsOption,
    WindowsOption,
    make_config,
)

if TYPE_CHECKING:
    from .baseline.stored import Baseline
    from .check import Check, CheckConfig


class MissingBaseline(StrEnum):
    FAIL = "fail"
    RECORD = "record"


INEFFECTIVE = {  # parameters of `check` by mode
    "--against": {"sessions", "missing_baseline"},
    "--baseline": {"blocks", "order_seed", "always_measure"},  # `sequential` chooses the calibration
    "--self-test": {"sessions", "missing_baseline", "speed", "smoke", "quality", "always_measure"},
}


@interrupt_once()
def check(
    context: typer.Context,
    benchmark: BenchmarkArgument,
    against: Annotated[str | None, typer.Option(metavar="REF", help="Git revision of the current repository.")] = None,
    against_python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another Python, for example with another version of torch.")
    ] = None,
    baselines: Annotated[
        list[Path],
        typer.Option(
            "--baseline",
            metavar="FILE",
            help="Baseline file to check against; repeatable.",
        ),
    ] = [],  # noqa: B006 - typer reads it, nothing writes it
    missing_baseline: Annotated[
        MissingBaseline, typer.Option(help="What to do if a baseline file does not exist, or lacks a requested part.")
    ] = MissingBaseline.FAIL,
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test",
            help="Test the gate itself: unchanged code must pass, and an injected slowdown must be detected.",
        ),
    ] = False,
    speed: SpeedOption = True,
    smoke: SmokeOption = True,
    quality: QualityOption = False,
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    always_measure: Annotated[
        bool, typer.Option("--always-measure", help="Measure even if code, spec, data and environment are equal.")
    ] = False,
    blocks: BlocksOption = MAX_BLOCKS,
    sessions: Annotated[int, typer.Option(min=1, help="Fresh sessions to compare with a baseline.")] = FRESH_SESSIONS,
    windows: WindowsOption = WINDOWS,
    window_seconds: WindowSecondsOption = WINDOW_SECONDS,
    sequential: SequentialOption = False,
    order_seed: OrderSeedOption = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 if inconclusive.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a Markdown summary.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fail if training is slower, uses more memory or scores worse than the base.

    The base is another git revision, another Python, or a stored baseline.

    The spec sets the margins: -o gate.time_percent=3 allows 3% more time per image. `ganbench show gate` lists them.
    """
    bases = {
        "--against REF": against is not None,
        "--against-python PATH": against_python is not None,
        "--baseline FILE": bool(baselines),
        "--self-test": self_test,
    }
    if sum(bases.values()) != 1:
        given = " and ".join(option.split()[0] for option, is_given in bases.items() if is_given) or "none"
        raise UsageError(f"check needs exactly one of {', '.join(bases)}; got {given}")
    if self_test and (junit or summary):
        raise UsageError("--self-test checks the gate, not a build: remove --junit and --summary")
    mode = "--self-test" if self_test else "--baseline" if baselines else "--against"
    refuse_options(context, mode, INEFFECTIVE[mode])
    from .check import INCOMPLETE, as_incomplete
    from .report import clear_outputs, exit_code, report, report_self_test

    if missing_baseline == MissingBaseline.RECORD:
        for file in baselines:
            require_output_file(file, "--baseline")
    clear_outputs({"--junit": junit, "--summary": summary})
    config = replace(
        make_config(benchmark, overrides, plugins, device, data_dir, windows, window_seconds, sequential, order_seed),
        speed=speed,
        smoke=smoke,
        quality=quality,
        always_measure=always_measure,
        max_blocks=blocks,
        sessions=sessions,
        log=partial(print_text, err if as_json else out),
    )
    if self_test:
        from .self_test import self_test as run_self_test

        raise typer.Exit(report_self_test(run_self_test(config), strict, as_json))
    from .against import check_baselines, check_revision, check_with_python

    checks: list[Check] = []
    config = replace(config, report_incomplete=checks.append)
    try:
        if against is not None:
            checks.append(check_revision(against, config))
        elif against_python is not None:
            checks.append(check_with_python(against_python, config))
        else:
            stored = load_or_record(baselines, missing_baseline, config, checks)
            checks += check_baselines(stored, config)
    except (GanbenchError, KeyboardInterrupt) as error:
        if not checks:
            raise
        if INCOMPLETE not in checks[-1].findings:  # it is of an earlier baseline
            checks[-1] = as_incomplete(checks[-1], "another baseline", error)
        report(checks, junit, summary, as_json)
        if isinstance(error, KeyboardInterrupt) or exit_code(checks, strict) != ExitCode.REGRESSION:
            raise
        print_error(str(error))  # the regression, which is final, decides on the exit code
    else:
        report(checks, junit, summary, as_json)
    raise typer.Exit(exit_code(checks, strict))


def refuse_options(context: typer.Context, mode: str, names: Collection[str]) -> None:
    """Raise `UsageError` if one of these options was given, which have no effect with `mode`."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name) if parameter.name in names else None
        if source is not None and source.name == "COMMANDLINE":
            option = "/".join([*parameter.opts[:1], *parameter.secondary_opts])
            raise UsageError(f"{option} has no effect with {mode}: leave it out")


def load_or_record(
    files: list[Path], missing: MissingBaseline, config: CheckConfig, checks: list[Check]
) -> dict[str, Baseline]:
    """Load baselines by file. If requested, complete those that are missing or lack a part, and append their checks."""
    from .baseline.recording import record_missing
    from .baseline.stored import load_baseline

    baselines: dict[str, Baseline] = {}
    for file in files:
        completed = record_missing(file, config) if missing == MissingBaseline.RECORD else []
        if not completed:
            baselines[str(file)] = load_baseline(file, config.session_config.benchmark)
        checks += completed
    return baselines


@interrupt_once()
def calibrate(
    benchmark: BenchmarkArgument,
    blocks: Annotated[int, typer.Option(min=4, help="Blocks of four sessions.")] = 8,
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    windows: WindowsOption = WINDOWS,
    window_seconds: WindowSecondsOption = WINDOW_SECONDS,
    sequential: SequentialOption = False,
    order_seed: Annotated[
        int | None, typer.Option("--seed", help="Random seed of the session order; default: a random one.")
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure the variability of identical code on this machine, which sets the noise floor of later checks."""
    from . import calibration
    from .check_tables import calibration_table

    config = make_config(
        benchmark, overrides, plugins, device, data_dir, windows, window_seconds, sequential, order_seed
    )
    result = calibration.calibrate(
        config.session_config, blocks, config.order_seed, partial(print_text, err if as_json else out)
    )
    if as_json:
        values = result.model_dump(mode="json")
        print_json({**values, "std": result.std, "noise_floor": result.noise_floor})
    else:
        out.print(calibration_table(result, config.margins.time_percent / 100))
    file = result.store()  # after the figures are shown: they are not lost if it fails
    if not as_json:
        print_text(out, f"stored in {file}")
