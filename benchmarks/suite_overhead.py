"""Compare a suite with the same runs started by hand: its overhead, and the throughput of two runs at once.

python -m benchmarks.suite_overhead --rounds 3 --out suite_overhead.json

Each round times the same runs of `dcgan-fashion` in three ways, in an order that changes from round to round:

- by hand: `ganbench run`, one after the other, with all cores
- suite: the same cells with `ganbench suite --jobs 1`; the difference in time is the overhead
- pairs: the same cells with `ganbench suite --jobs 2`, each with half of the cores

The rate of a pair is its images per second of training of the slower of the two runs, so that no time counts in which
one of them trained alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Annotated

import typer

from benchmarks.results_file import write_results
from ganbench import load_result, load_spec
from ganbench.errors import ExitCode

SCORED = ["metrics.0.num_samples=500", "metrics.0.at_epochs=[]", "sample_images.at_epochs=[]"]
Timed = tuple[float, list[Path]]  # seconds and run directories


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 3,
    cells: Annotated[int, typer.Option(min=2, help="Number of runs in each round and way, an even one.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Training length of each run, in steps of 64 images.")] = 200,
    width: Annotated[int, typer.Option(min=1, help="Width of the networks.")] = 64,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    if cells % 2:
        raise typer.BadParameter("runs are paired: give an even number", param_hint="--cells")
    seconds: dict[str, list[float]] = {"by hand": [], "suite": [], "pairs": []}
    rates: dict[str, list[float]] = {"by hand": [], "pairs": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = load_spec(
            "dcgan-fashion", "dataset.source=embedded", f"training.steps={steps}", f"model.width={width}", *SCORED
        )
        (folder / "spec.toml").write_text(spec.to_toml(), encoding="utf-8")
        (folder / "suite.toml").write_text(f'benchmark = "spec.toml"\nseeds = {list(range(cells))}\n', encoding="utf-8")
        by_hand(folder, folder / "warm-up", 1)  # fills the caches of data and features
        for number in range(rounds):
            ways = list(seconds)
            for way in ways[number % 3 :] + ways[: number % 3]:
                taken, runs = WAYS[way](folder, folder / f"{number}" / way.replace(" ", "-"), cells)
                seconds[way].append(taken)
                if way in rates:
                    rates[way].append(rate_of_pairs(runs) if way == "pairs" else mean(map(rate, runs)))
                print(f"round {number + 1}, {way}: {taken:.1f} s", file=sys.stderr, flush=True)
    overhead = [suite - hand for suite, hand in zip(seconds["suite"], seconds["by hand"], strict=True)]
    percent = [100 * extra / hand for extra, hand in zip(overhead, seconds["by hand"], strict=True)]
    ratio = [pair / hand for pair, hand in zip(rates["pairs"], rates["by hand"], strict=True)]
    print(f"overhead of the suite: {median(overhead):.2f} s ({median(percent):.2f}%), median of {rounds}")
    print(f"two runs at once ÷ one run with all cores: {median(ratio):.3f} ({min(ratio):.3f} to {max(ratio):.3f})")
    if out is not None:
        setting = {"rounds": rounds, "cells": cells, "steps": steps, "width": width}
        figures = {"overhead_seconds": overhead, "overhead_percent": percent, "pair_by_single": ratio}
        write_results(out, setting, "cpu", {"seconds": seconds, "images_per_second": rates, **figures})


def by_hand(folder: Path, out: Path, cells: int) -> Timed:
    begun = perf_counter()
    runs = [out / f"seed-{seed}" for seed in range(cells)]
    for seed, run in enumerate(runs):
        ganbench("run", str(folder / "spec.toml"), "--seed", str(seed), "--out", str(run))
    return perf_counter() - begun, runs


def suite(folder: Path, out: Path, cells: int, jobs: int = 1) -> Timed:
    begun = perf_counter()
    ganbench("suite", str(folder / "suite.toml"), "--jobs", str(jobs), "--out", str(out))
    taken = perf_counter() - begun
    return taken, sorted((out / "runs").iterdir())  # in the order of their seeds, in which they were started


def pairs(folder: Path, out: Path, cells: int) -> Timed:
    return suite(folder, out, cells, jobs=2)


WAYS: dict[str, Callable[[Path, Path, int], Timed]] = {"by hand": by_hand, "suite": suite, "pairs": pairs}


def ganbench(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "ganbench", *arguments, "--device", "cpu"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    if finished.returncode != ExitCode.DONE:
        raise SystemExit(f"{' '.join(command)} failed: {finished.stderr}")


def training_of(run: Path) -> tuple[int, float]:
    """Return how many images a run trained with, and the seconds that this took."""
    windows = load_result(run).throughput.windows
    return sum(window.images for window in windows), sum(window.seconds for window in windows)


def rate(run: Path) -> float:
    images, seconds = training_of(run)
    return images / seconds


def rate_of_pairs(runs: list[Path]) -> float:
    """Return the mean over pairs of the images of both per seconds of the slower one."""
    trained = list(map(training_of, runs))
    return mean(
        (first[0] + second[0]) / max(first[1], second[1])
        for first, second in zip(trained[::2], trained[1::2], strict=True)
    )


if __name__ == "__main__":
    typer.run(main)
