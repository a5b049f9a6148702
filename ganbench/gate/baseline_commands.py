"""`ganbench baseline record` and `show`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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

from .options import (
    WINDOW_SECONDS,
    WINDOWS,
    Benchmark,
    Quality,
    Smoke,
    Windows,
    WindowSeconds,
    make_config,
)

if TYPE_CHECKING:
    from .baseline import Baseline
    from .check import CheckConfig

SESSIONS = 12  # detects a slowdown of 1.5 margins in 19 of 20 checks on a quiet machine (benchmarks/gate_power.py)


@interrupt_once()
def record(
    benchmark: Benchmark,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Baseline file; extended if it exists.")],
    sessions: Annotated[int, typer.Option(min=1, help="Number of sessions to measure.")] = SESSIONS,
    smoke: Smoke = True,
    quality: Quality = False,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    plugins: PluginArguments = [],  # noqa: B006
    windows: Windows = WINDOWS,
    window_seconds: WindowSeconds = WINDOW_SECONDS,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Measure sessions and training runs, and store them to check against later."""
    from dataclasses import replace

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
    from .baseline import load_baseline
    from .check_tables import baseline_table

    baseline = load_baseline(file)
    if as_json:
        print_json(baseline.model_dump(mode="json"))
    else:
        out.print(baseline_table(str(file), baseline))


def record_into(file: Path, config: CheckConfig) -> Baseline:
    """Measure what the configuration requests, and add it to the baseline, or create one.

    Sessions are appended; training runs are only added if there are none. Raises `NotComparableError` if the existing
    baseline was measured under other conditions, in another environment, or with other code.
    """
    from .baseline import (
        Baseline,
        load_baseline,
        require_same_code,
        require_same_conditions,
        require_same_environment,
    )
    from .measuring import measure_fresh
    from .quality import seeds_of, train_seeds
    from .session import Session
    from .side import Side
    from .smoke import REPEATS, train_repeats

    session_config, log, side = config.session_config, config.log, Side("current code")
    stored = load_baseline(file, session_config.benchmark) if file.exists() else None

    def require_comparable(session: Session) -> None:
        if stored:
            require_same_conditions(stored, session)
            require_same_environment(stored, session)
            require_same_code(stored, session)

    if stored:
        stored.require_same_windows(str(file), session_config)
    sessions = measure_fresh(side, session_config, config.sessions, log, require_comparable)
    baseline = stored or Baseline(benchmark=session_config.benchmark, sessions=[], smoke=[], quality=[])
    baseline = baseline.model_copy(update={"sessions": [*baseline.sessions, *sessions]})
    if disturbed := baseline.disturbances:
        log(
            f"{len(disturbed)} of {len(baseline.sessions)} sessions were disturbed, which hides regressions: remove "
            f"{file} and record it again on a quiet machine"
        )
    baseline.save(file)  # each part when it is complete: an interruption loses only the one that it interrupts
    if config.smoke and not baseline.smoke:
        runs = train_repeats(side, session_config, REPEATS, log)
        baseline = baseline.model_copy(update={"smoke": runs})
        baseline.save(file)
    if config.quality and not baseline.quality:
        runs = train_seeds(side, session_config, seeds_of(config.training_seed)[0], config.margins, log)
        baseline = baseline.model_copy(update={"quality": runs})
        baseline.save(file)
    return baseline


baseline = typer.Typer(no_args_is_help=True, help="Record and inspect baselines for `check --baseline`.")
baseline.command(cls=Command)(record)
baseline.command(cls=Query)(show)
