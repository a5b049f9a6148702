"""`ganbench check` and `ganbench calibrate`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.errors import ExitCode, UsageError
from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    err,
    out,
    print_json,
)
from ganbench.system.signals import interrupt_once

from .baseline_commands import SESSIONS, record_into
from .options import (
    WINDOW_SECONDS,
    WINDOWS,
    Benchmark,
    OneAtATime,
    OrderSeed,
    Quads,
    Quality,
    Smoke,
    Speed,
    Windows,
    WindowSeconds,
    need_folders,
    plan_of,
    teller,
)

if TYPE_CHECKING:
    from .baseline import Baseline
    from .check import Check, Plan
    from .self_test import SelfTest


class MissingBaseline(StrEnum):
    FAIL = "fail"
    RECORD = "record"


@interrupt_once()
def check(
    benchmark: Benchmark,
    against: Annotated[
        str | None, typer.Option(metavar="REF", help="A git revision of the repository you stand in.")
    ] = None,
    against_python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another Python, such as one with another torch.")
    ] = None,
    baselines: Annotated[
        list[Path], typer.Option("--baseline", metavar="FILE", help="What was stored; several are gated together.")
    ] = [],  # noqa: B006 - typer reads it, nothing writes it
    missing_baseline: Annotated[
        MissingBaseline, typer.Option(help="What to do about a baseline that is not there.")
    ] = MissingBaseline.FAIL,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Try the gate itself: code against itself, and planted slowness.")
    ] = False,
    speed: Speed = True,
    smoke: Smoke = True,
    quality: Quality = False,
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    always_measure: Annotated[
        bool, typer.Option("--always-measure", help="Measure even where code, spec, data and environment are equal.")
    ] = False,
    quads: Quads = 4,
    sessions: Annotated[int, typer.Option(min=1, help="Fresh sessions against stored ones.")] = 4,
    windows: Windows = WINDOWS,
    window_seconds: WindowSeconds = WINDOW_SECONDS,
    one_at_a_time: OneAtATime = False,
    order_seed: OrderSeed = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where it is inconclusive.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a Markdown summary.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fail if training got slower, hungrier or worse than at another revision, with another Python, or than stored.

    What is too much worse stands in the spec: -o gate.time_percent=3 allows 3 % more time. `ganbench show` lists all.
    """
    if sum([against is not None, against_python is not None, bool(baselines), self_test]) != 1:
        raise UsageError("check needs one of --against REF, --against-python PATH, --baseline FILE and --self-test")
    if self_test and (junit or summary):
        raise UsageError("--self-test tries the gate and judges no build: it takes no --junit and no --summary")
    if not (speed or smoke or quality):
        raise UsageError("with --no-speed, --no-smoke and no --quality there is nothing to check")
    need_folders(junit, summary, *baselines)
    plan = replace(
        plan_of(benchmark, overrides, plugins, device, data_dir, windows, window_seconds, one_at_a_time, order_seed),
        speed=speed,
        smoke=smoke,
        quality=quality,
        always_measure=always_measure,
        quads=quads,
        sessions=sessions,
        told=teller(err if as_json else out),
    )
    if self_test:
        from .self_test import self_test as try_gate

        raise typer.Exit(tell_self_test(try_gate(plan), strict, as_json))
    from .against import check_baselines, check_revision, check_with_python

    if against is not None:
        checks = [check_revision(against, plan)]
    elif against_python is not None:
        checks = [check_with_python(against_python, plan)]
    else:
        checks = check_baselines(stored_baselines(baselines, missing_baseline, plan), plan)
    tell(checks, junit, summary, as_json)
    raise typer.Exit(exit_code(checks, strict))


def exit_code(checks: list[Check], strict: bool) -> ExitCode:
    verdicts = {check.verdict for check in checks}
    if "regressed" in verdicts:
        return ExitCode.REGRESSION
    return ExitCode.INCONCLUSIVE if strict and "inconclusive" in verdicts else ExitCode.DONE


def tell(checks: list[Check], junit: Path | None, summary: Path | None, as_json: bool) -> None:
    """Say what came of the checks wherever it was asked for."""
    from ganbench.system.files import write_text

    from . import outputs
    from .check_tables import check_tables

    console = err if as_json else out
    told = teller(console)
    for check in checks:
        for table in check_tables(check):
            console.print(table)
        for finding in check.findings.values():
            told(f"{finding.verdict.upper()}: {finding.sentence}")
        if check.verdict == "inconclusive":
            err.print(
                "[bold yellow]INCONCLUSIVE: this check has proved nothing, neither a regression nor its absence[/]"
            )
    if junit:
        outputs.write_junit(checks, junit)
    if summary:
        write_text(summary, "\n".join(map(outputs.markdown, checks)))
    for line in outputs.tell_github(checks):
        console.file.write(line + "\n")
    if as_json:
        print_json({"checks": [outputs.to_dict(check) for check in checks]})


def tell_self_test(tried: SelfTest, strict: bool, as_json: bool) -> ExitCode:
    """Say whether the gate can be believed here, and its exit code."""
    tell([tried.unchanged, tried.slowed], junit=None, summary=None, as_json=as_json)
    planted = f"a planted slowdown of {tried.planted:.0%}"
    if tried.believable:
        err.print(f"[bold green]self-test passed:[/] no regression of unchanged code, and {planted} was caught")
        return ExitCode.DONE
    if tried.believable is None:
        err.print(f"[bold yellow]self-test inconclusive:[/] this machine is too noisy to tell {planted} from none")
        return ExitCode.INCONCLUSIVE if strict else ExitCode.DONE
    err.print(f"[bold red]self-test failed:[/] unchanged code was called slower, or {planted} passed")
    return ExitCode.FAILED


def stored_baselines(files: list[Path], missing: MissingBaseline, plan: Plan) -> dict[str, Baseline]:
    """The baselines by their files. One that is missing is recorded and left out, if that was asked for."""
    from .baseline import load_baseline

    stored = {}
    for file in files:
        if missing == MissingBaseline.RECORD and not file.exists():
            plan.told(f"{file} is not there: recording it, and there is nothing to check against")
            recorded = record_into(file, replace(plan, sessions=SESSIONS))
            plan.told(f"{len(recorded.sessions)} sessions in {file}; the next check has a baseline")
        else:
            stored[str(file)] = load_baseline(file, plan.measurement.benchmark)
    return stored


@interrupt_once()
def calibrate(
    benchmark: Benchmark,
    quads: Quads = 8,
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    windows: Windows = WINDOWS,
    window_seconds: WindowSeconds = WINDOW_SECONDS,
    one_at_a_time: OneAtATime = False,
    order_seed: OrderSeed = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure how equal code scatters on this machine: the noise floor of a `check` under the same conditions."""
    from . import calibration
    from .check_tables import calibration_table

    plan = plan_of(benchmark, overrides, plugins, device, data_dir, windows, window_seconds, one_at_a_time, order_seed)
    calibrated = calibration.calibrate(plan.measurement, quads, plan.order_seed, teller(err if as_json else out))
    if as_json:
        told = calibrated.model_dump(mode="json")
        print_json({**told, "deviation": calibrated.deviation, "noise_floor": calibrated.noise_floor})
    else:
        out.print(calibration_table(calibrated, plan.margins.time_percent / 100))
        teller(out)(f"kept in {calibration.calibration_file(calibrated.fingerprint)}")
