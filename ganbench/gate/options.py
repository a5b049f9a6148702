"""Options shared by the gate's commands, and the configuration they define."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.errors import UsageError
from ganbench.spec.plugins import load_registry, plugins_for_spec

if TYPE_CHECKING:
    from .check import CheckConfig

BenchmarkArgument = Annotated[str, typer.Argument(metavar="BENCHMARK", help="Registered name or TOML file.")]
WindowsOption = Annotated[int, typer.Option(min=1, help="Timed windows per session; fewer if they take long.")]
WindowSecondsOption = Annotated[float, typer.Option(min=0.01, help="Approximate length of a window, in seconds.")]
SequentialOption = Annotated[
    bool, typer.Option("--sequential", help="Run sessions one at a time, for when two exceed device memory.")
]
BlocksOption = Annotated[
    int, typer.Option(min=1, help="Maximum number of blocks of four sessions; a check ends when it can decide.")
]
OrderSeedOption = Annotated[
    int | None,
    typer.Option("--seed", help="Random seed of the session order, reported by --json; default: a random one."),
]
SpeedOption = Annotated[bool, typer.Option(help="Check speed and peak memory.")]
SmokeOption = Annotated[bool, typer.Option(help="Train the same seed for a few steps, and compare losses and scores.")]
QualityOption = Annotated[
    bool, typer.Option("--quality", help="Train several seeds to the end, and compare scores and times to targets.")
]


def make_config(
    benchmark: str,
    overrides: list[str],
    plugins: list[str],
    device: str,
    data_dir: Path | None,
    windows: int,
    window_seconds: float,
    sequential: bool = False,
    order_seed: int | None = None,
) -> CheckConfig:
    """Make the configuration of a check, with the margins from the spec.

    Margins are not passed to sessions: only the gate uses them, and an older ganbench may not know them. Raises
    `UsageError` for an invalid spec or endless windows, and on Windows, which lacks the process groups with which
    sessions are ended.
    """
    if not math.isfinite(window_seconds):
        raise UsageError(f"--window-seconds {window_seconds}: give a finite number of seconds")
    if not hasattr(os, "killpg"):
        raise UsageError("the gate needs Linux or macOS: on Windows, use WSL")
    from ganbench.spec.loading import load_spec

    from .check import CheckConfig
    from .revision.non_paths import non_path_values
    from .side import SessionConfig

    plugins = plugins_for_spec(plugins, benchmark)  # those of a run, for its spec.toml; the sessions load them, too
    spec = load_spec(benchmark, load_registry(plugins), overrides)
    session_config = SessionConfig(
        benchmark=os.path.normpath(benchmark),  # ./mine.toml and mine.toml are one benchmark
        overrides=[text for text in overrides if text.partition("=")[0].partition(".")[0].strip() != "gate"],
        plugins=plugins,
        device=device,
        data_dir=data_dir,
        windows=windows,
        window_seconds=window_seconds,
        interleaved=not sequential,
    )
    return CheckConfig(
        session_config,
        margins=spec.gate,
        training_seed=spec.training.seed,
        metrics=tuple(metric.name for metric in spec.metrics),
        budget_seconds=spec.training.budget_seconds,
        non_paths=non_path_values(spec),
        order_seed=random.SystemRandom().randrange(2**32) if order_seed is None else order_seed,
    )
