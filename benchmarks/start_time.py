"""Measure the time from `ganbench run` to the first training step, interleaved with an older checkout.

python -m benchmarks.start_time --rounds 10 --before ../older --out start_time.json

Each start is a fresh process, which is ended as soon as it has written its first checkpoint: a run does so immediately
before the first step. Nothing is scored before training, but the metrics are prepared. A first start of each side is
not counted, because it fills the caches.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .checkout import ROOT, commit_of, importable
from .results_file import write_results
from .rounds import alternating

POLL_SECONDS = 0.005


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of starts of each side.")] = 10,
    before: Annotated[Path | None, typer.Option(help="Checkout of older code to compare with.")] = None,
    benchmark: str = "dcgan-fashion",
    device: str = "cpu",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    sides = {"before": before, "now": ROOT} if before else {"now": ROOT}
    options = ["--epochs", "1", "--device", device, "-o", f"dataset.source={source}", "-o", "metrics.0.at_epochs=[]"]
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for round_number, side in alternating(sides, rounds + 1):
        measured = start(sides[side], [benchmark, *options])
        if round_number:
            seconds[side].append(measured)
            print(f"round {round_number}, {side}: {measured:.2f} s", file=sys.stderr)
    show(seconds)
    if out is not None:
        setting = {"benchmark": benchmark, "source": source, "rounds": rounds, "before": commit_of(before)}
        write_results(out, setting, device, {"seconds_to_first_step": seconds})


def start(checkout: Path, arguments: list[str]) -> float:
    """Start a run of a checkout's code, and return the seconds until its first checkpoint."""
    with tempfile.TemporaryDirectory() as folder, importable(checkout) as environment:
        out, log = Path(folder) / "run", Path(folder) / "log.txt"
        command = [sys.executable, "-P", "-m", "ganbench", "run", *arguments, "--out", str(out)]
        with log.open("wb") as output:
            begin = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
            try:
                while not (out / "checkpoint.pt").exists():
                    if process.poll() is not None:
                        raise SystemExit(f"the run failed:\n{log.read_text()}")
                    time.sleep(POLL_SECONDS)
                return time.perf_counter() - begin
            finally:
                process.kill()
                process.wait()


def show(seconds: dict[str, list[float]]) -> None:
    table = Table("", "seconds to the first step (median)", "range over rounds")
    for side, measured in seconds.items():
        table.add_row(side, f"{median(measured):.2f}", f"{min(measured):.2f} to {max(measured):.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
