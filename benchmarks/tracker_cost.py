"""Measure whether trackers that misbehave change the speed or the results of training.

python -m benchmarks.tracker_cost --rounds 5 --out tracker_cost.json

Trains `dcgan-fashion` without a tracker, with one that raises and with one that blocks for 60 s, interleaved and each
time in a fresh process. Compares the images per second, and the losses.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ganbench import Callback, Options, Progress, TrackerContext, TrackerPlugin, hookimpl

from .results_file import write_results
from .rounds import alternating

VARIANTS = {"no tracker": [], "raises": ["--track", "raises"], "blocks": ["--track", "blocks"]}
BLOCKED_SECONDS = 60


class Raises(Callback):
    def on_window_end(self, progress: Progress) -> None:
        raise RuntimeError("the server is down")


class Blocks(Callback):
    def on_window_end(self, progress: Progress) -> None:
        time.sleep(BLOCKED_SECONDS)


@hookimpl
def ganbench_trackers() -> list[TrackerPlugin]:
    def plugin(name: str, tracker: type[Callback]) -> TrackerPlugin:
        def build(options: Options, context: TrackerContext) -> Callback:
            return tracker()

        return TrackerPlugin(name=name, summary="For a measurement", build=build)

    return [plugin("raises", Raises), plugin("blocks", Blocks)]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each variant.")] = 5,
    steps: Annotated[int, typer.Option(help="Training steps of each run.")] = 100,
    device: str = "cpu",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "embedded",
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    losses: list[Any] = []
    for round_number, name in alternating(VARIANTS, rounds):
        result = train(VARIANTS[name], steps, device, source)
        rates[name].append(result["throughput"]["images_per_second"]["median"])
        losses.append([(row["d_loss"], row["g_loss"]) for row in result["history"]])
        print(f"round {round_number + 1}, {name}: {rates[name][-1]:,.0f} images/s", file=sys.stderr)
    ratios = {
        name: [rate / without for rate, without in zip(measured, rates["no tracker"], strict=True)]
        for name, measured in rates.items()
    }
    same = all(each == losses[0] for each in losses)
    table = Table("tracker", "images/s ÷ without a tracker (median)", "range")
    for name, values in ratios.items():
        table.add_row(name, f"{median(values):.3f}", f"{min(values):.3f} to {max(values):.3f}")
    Console().print(table)
    print("losses:", "bitwise identical in all runs" if same else "they differ")
    if out is not None:
        setting = {"rounds": rounds, "steps": steps, "source": source}
        figures = {"images_per_second": rates, "ratio": ratios, "losses_identical": same}
        write_results(out, setting, device, figures)


def train(track: list[str], steps: int, device: str, source: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            *(sys.executable, "-m", "ganbench", "run", "dcgan-fashion", "-p", "benchmarks.tracker_cost", *track),
            *("--steps", str(steps), "--device", device, "-o", f"dataset.source={source}", "-o", "metrics=[]"),
            *("-o", "sample_images.real=0", "-o", "sample_images.generated=0", "--out", str(run)),
        ]
        finished = subprocess.run(command, capture_output=True, text=True)
        if finished.returncode:
            raise SystemExit(f"the run failed:\n{finished.stderr}")
        result: dict[str, Any] = json.loads((run / "result.json").read_text(encoding="utf-8"))
        return result


if __name__ == "__main__":
    typer.run(main)
