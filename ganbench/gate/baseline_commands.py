"""`ganbench baseline record` and `show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.reporting.console import (
    AsJson,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    out,
    print_json,
)
from ganbench.system.signals import interrupt_once

from .options import (
    WINDOW_SECONDS,
    WINDOWS,
    Benchmark,
    Quality,
    Smoke,
    Windows,
    WindowSeconds,
    need_folders,
    plan_of,
    teller,
)

if TYPE_CHECKING:
    from .baseline import Baseline
    from .check import Plan

SESSIONS = 12  # enough to see a slowdown of 1.5 margins 19 times of 20 (benchmarks/gate_power.py)


@interrupt_once()
def record(
    benchmark: Benchmark,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="A baseline; one that is there grows.")],
    sessions: Annotated[int, typer.Option(min=1, help="How many to measure.")] = SESSIONS,
    smoke: Smoke = True,
    quality: Quality = False,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    plugins: PluginArguments = [],  # noqa: B006
    windows: Windows = WINDOWS,
    window_seconds: WindowSeconds = WINDOW_SECONDS,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Measure sessions and trainings, and store them to check against later."""
    from dataclasses import replace

    plan = plan_of(benchmark, overrides, plugins, device, data_dir, windows, window_seconds)
    plan = replace(plan, smoke=smoke, quality=quality, sessions=sessions, told=teller(out))
    recorded = record_into(file, plan)
    out.print(f"{len(recorded.sessions)} sessions in {file}", markup=False, highlight=False)


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline.")],
    as_json: AsJson = False,
) -> None:
    """Show what a baseline holds."""
    from .baseline import load_baseline
    from .check_tables import baseline_table

    baseline = load_baseline(file)
    if as_json:
        print_json(baseline.model_dump(mode="json"))
    else:
        out.print(baseline_table(str(file), baseline))


def record_into(file: Path, plan: Plan) -> Baseline:
    """Measure what the plan says, and store it: in the baseline that is there, or in a new one.

    Trainings are not added to, only made where there are none. Raises `NotComparableError` where the baseline that is
    there was measured under other conditions.
    """
    from .arm import Arm
    from .baseline import Baseline, load_baseline, need_same_conditions
    from .quality import seeds_of, train_seeds
    from .session import Session
    from .smoke import REPEATS, train_repeats
    from .speed import measure_fresh

    need_folders(file)
    measurement, told, now = plan.measurement, plan.told, Arm("now")
    before = load_baseline(file, measurement.benchmark) if file.exists() else None

    def need_comparable(session: Session) -> None:
        if before:
            need_same_conditions(before, session)

    if before:
        before.need_windows(str(file), measurement)
    sessions = measure_fresh(now, measurement, plan.sessions, told, need_comparable)
    smoked = before.smoke if before else []
    seeded = before.quality if before else []
    if plan.smoke and not smoked:
        smoked = train_repeats(now, measurement, REPEATS, told)
    if plan.quality and not seeded:
        seeded = train_seeds(now, measurement, seeds_of(plan.training_seed)[0], told)
    whole = Baseline(
        benchmark=measurement.benchmark,
        sessions=[*(before.sessions if before else []), *sessions],
        smoke=smoked,
        quality=seeded,
    )
    whole.save(file)
    return whole
