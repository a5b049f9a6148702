"""Compare the loops, interleaved, each time in a fresh process.

python -m benchmarks.loops --pairs 5 --seconds 10 --out loops.json

Prints images a second of each loop and ganbench's ratio to it, round by round: a machine's drift hits all loops of a
round alike, so the ratios can be trusted where the rates cannot.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from .setting import Setting

if TYPE_CHECKING:
    from ganbench_fashion_mnist.sources import Source

LOOPS = {
    "notebook": "benchmarks.loops.notebook",
    "bare": "benchmarks.loops.bare",
    "lightning": "benchmarks.loops.with_lightning",
    "ganbench": "benchmarks.loops.with_ganbench",
}


def main(
    pairs: Annotated[int, typer.Option(help="Rounds; each runs every loop once.")] = 5,
    seconds: Annotated[float, typer.Option(help="How long each loop is timed.")] = 10.0,
    batch_size: int = 64,
    device: str = "cpu",
    source: Annotated[str, typer.Option(help="FashionMNIST from: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the figures as JSON.")] = None,
    only: Annotated[str | None, typer.Option(hidden=True)] = None,  # the worker's side of a round
) -> None:
    setting = Setting(device, batch_size, seconds, cast("Source", source), data_dir)
    if only is not None:
        timed = importlib.import_module(LOOPS[only]).run(setting)
        print(json.dumps(asdict(timed)))
        return
    rates: dict[str, list[float]] = {name: [] for name in LOOPS}
    for round_number in range(pairs):
        names = list(LOOPS) if round_number % 2 == 0 else list(reversed(LOOPS))
        for name in names:
            timed = in_fresh_process(name)
            rates[name].append(timed["images"] / timed["seconds"])
            print(f"round {round_number + 1}, {name}: {rates[name][-1]:,.0f} images/s", file=sys.stderr)
    report(rates, setting, out)


def in_fresh_process(name: str) -> dict[str, float]:
    """One loop's images and seconds, measured by this same command in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.loops", *sys.argv[1:], "--only", name]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{name} failed:\n{finished.stderr}")
    measured: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return measured


def report(rates: dict[str, list[float]], setting: Setting, out: Path | None) -> None:
    """Print the table and write the JSON."""
    from ganbench.environment import describe_environment

    table = Table("loop", "images/s (median)", "ganbench / loop (median)", "spread over rounds")
    ratios = {
        name: [ours / theirs for ours, theirs in zip(rates["ganbench"], measured, strict=True)]
        for name, measured in rates.items()
    }
    for name, measured in rates.items():
        spread = f"{min(ratios[name]):.3f} to {max(ratios[name]):.3f}"
        table.add_row(name, f"{median(measured):,.0f}", f"{median(ratios[name]):.3f}", spread)
    Console().print(table)
    if out is not None:
        figures = {
            "setting": {**asdict(setting), "data_dir": None},
            "environment": describe_environment(setting.device).model_dump(),
            "images_per_second": rates,
            "ganbench_ratio": ratios,
        }
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
