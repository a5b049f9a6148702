"""Measure an evaluation's share of an epoch's time, interleaved with an older checkout.

python -m benchmarks.scoring_share --rounds 3 --seconds 30 --before ../older --out scoring_share.json

Each measurement is a run of `dcgan-fashion` in a fresh process, scored before and after training: its
`evaluation_seconds` are those of two evaluations of 10,000 images. The time of an epoch is extrapolated from the time
per image.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .checkout import ROOT, commit_of, importable
from .results_file import write_results
from .rounds import alternating

EVALUATIONS = 2  # of each run


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each side.")] = 3,
    seconds: Annotated[float, typer.Option(help="Training time of each run, in seconds.")] = 30.0,
    before: Annotated[Path | None, typer.Option(help="Checkout of older code to compare with.")] = None,
    device: str = "cpu",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    sides = {"before": before, "now": ROOT} if before else {"now": ROOT}
    options = [
        *("--device", device, "-o", f"dataset.source={source}", "-o", f"training.budget_seconds={seconds}"),
        *("-o", "metrics.0.at_epochs=[0]"),
    ]
    figures: dict[str, dict[str, list[float]]] = {
        side: {"evaluation_seconds": [], "epoch_seconds": [], "share": []} for side in sides
    }
    for round_number, side in alternating(sides, rounds):
        evaluation, epoch = measure(sides[side], ["dcgan-fashion", *options])
        for name, value in zip(figures[side], (evaluation, epoch, evaluation / epoch), strict=True):
            figures[side][name].append(value)
        print(f"round {round_number + 1}, {side}: {evaluation / epoch:.2%} of an epoch", file=sys.stderr)
    show(figures)
    if out is not None:
        setting = {"source": source, "rounds": rounds, "seconds": seconds, "before": commit_of(before)}
        write_results(out, setting, device, figures)


def measure(checkout: Path, arguments: list[str]) -> tuple[float, float]:
    """Run a checkout's code, and return the seconds of an evaluation and of an epoch."""
    with tempfile.TemporaryDirectory() as folder, importable(checkout) as environment:
        command = [sys.executable, "-P", "-m", "ganbench", "run", *arguments, "--out", str(Path(folder) / "run")]
        finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if finished.returncode:
            raise SystemExit(f"the run failed:\n{finished.stderr}")
        result = json.loads((Path(folder) / "run" / "result.json").read_text(encoding="utf-8"))
    throughput = result["throughput"]
    epoch = throughput["seconds_per_kimg"] * result["data"]["train_images"] / 1000
    return throughput["evaluation_seconds"] / EVALUATIONS, epoch


def show(figures: dict[str, dict[str, list[float]]]) -> None:
    table = Table("", "evaluation, s (median)", "epoch, s (median)", "share (median)", "range over rounds")
    for side, measured in figures.items():
        shares = measured["share"]
        medians = (f"{median(measured[name]):.1f}" for name in ("evaluation_seconds", "epoch_seconds"))
        table.add_row(side, *medians, f"{median(shares):.2%}", f"{min(shares):.2%} to {max(shares):.2%}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
