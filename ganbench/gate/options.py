"""What the gate's commands share: the options that several of them take, and what these amount to."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ganbench.errors import UsageError
from ganbench.reporting.console import load_registry

if TYPE_CHECKING:
    from rich.console import Console

    from ganbench.spec.benchmark import BenchmarkSpec

    from .check import Plan

WINDOWS = 5
WINDOW_SECONDS = 2.0

Benchmark = Annotated[str, typer.Argument(metavar="BENCHMARK", help="A registered name or a TOML file.")]
Windows = Annotated[int, typer.Option(min=1, help="Windows that a session times.")]
WindowSeconds = Annotated[float, typer.Option(min=0.01, help="About how long a window is.")]
OneAtATime = Annotated[
    bool, typer.Option("--one-at-a-time", help="No two sessions alive together: where two do not fit on the device.")
]
Quads = Annotated[int, typer.Option(min=1, help="Groups of four sessions; as many again if inconclusive.")]
OrderSeed = Annotated[int | None, typer.Option("--seed", help="Of the order of the sessions; recorded.")]
Speed = Annotated[bool, typer.Option(help="Time sessions.")]
Smoke = Annotated[bool, typer.Option(help="Train the same seed for a few steps on both sides.")]
Quality = Annotated[bool, typer.Option("--quality", help="Train several seeds to the end, and judge the scores.")]


def plan_of(
    benchmark: str,
    overrides: list[str],
    plugins: list[str],
    device: str,
    data_dir: Path | None,
    windows: int,
    window_seconds: float,
    one_at_a_time: bool = False,
    order_seed: int | None = None,
) -> Plan:
    """A plan for the benchmark, with the margins in its spec. Raises `UsageError` for a spec that is none.

    Margins are the judge's: sessions are not told of them, and an older ganbench need not know them.
    """
    from ganbench.spec.loading import load_spec

    from .arm import Measurement
    from .check import Plan

    spec, _ = load_spec(benchmark, load_registry(plugins), overrides)
    measurement = Measurement(
        benchmark=benchmark,
        overrides=[text for text in overrides if text.partition("=")[0].partition(".")[0].strip() != "gate"],
        plugins=list(plugins),
        device=device,
        data_dir=data_dir,
        windows=windows,
        window_seconds=window_seconds,
        in_turns=not one_at_a_time,
    )
    return Plan(
        measurement,
        margins=spec.gate,
        training_seed=spec.training.seed,
        metrics=tuple(metric.name for metric in spec.metrics),
        words=words_of(spec),
        order_seed=random.SystemRandom().randrange(2**32) if order_seed is None else order_seed,
    )


def words_of(spec: BenchmarkSpec) -> frozenset[str]:
    """Names of plugins, and values that options take from a fixed list."""
    choices = spec.plugin_configs()
    fields = [field for choice in choices for field in type(choice.options).model_fields.values()]
    fixed = {value for field in fields for value in get_args(field.annotation) if isinstance(value, str)}
    return frozenset(fixed | {choice.name for choice in choices})


def need_folders(*files: Path | None) -> None:
    """Raise `UsageError`, before minutes of measuring, for a file that could not be written after them."""
    for file in files:
        if file is not None and not file.resolve().parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.parent} to write it in")


def teller(console: Console) -> Callable[[str], None]:
    """Prints a line as it is."""
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
