"""Compare the loops, interleaved and in fresh processes.

python -m benchmarks.loops --pairs 5 --seconds 10 --out loops.json

Prints the images per second of each loop and the ratio of ganbench to it. Drift of the machine affects all loops of a
round equally, so the ratios are more reliable than the rates.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.results_file import write_results
from benchmarks.shared_machine import busy_processes

from .setting import Setting

if TYPE_CHECKING:
    from ganbench.runtime.precision import Precision
    from ganbench_datasets.fashion_mnist.sources import Source

LOOPS = {
    "notebook": "benchmarks.loops.notebook",
    "bare": "benchmarks.loops.bare",
    "lightning": "benchmarks.loops.with_lightning",
    "ganbench-eager": "benchmarks.loops.with_ganbench_eager",
    "ganbench": "benchmarks.loops.with_ganbench",
}


def main(
    pairs: Annotated[int, typer.Option(min=1, help="Number of rounds; each runs every loop once.")] = 5,
    seconds: Annotated[float, typer.Option(help="Time of each measurement, in seconds.")] = 10.0,
    batch_size: int = 64,
    device: str = "cpu",
    precision: Annotated[
        str, typer.Option(metavar="fp32|tf32|bf16", help="The notebook uses fp32 instead of bf16.")
    ] = "fp32",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    busy: Annotated[int, typer.Option(min=0, help="Number of busy processes to run next to each loop.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    only: Annotated[str | None, typer.Option(hidden=True)] = None,  # the loop to run in this worker process
) -> None:
    setting = Setting(device, cast("Precision", precision), batch_size, seconds, cast("Source", source), data_dir)
    if only is not None:
        with setting.conditions():
            timed = importlib.import_module(LOOPS[only]).run(setting)
        print(json.dumps(asdict(timed)))
        return
    loops = [name for name in LOOPS if can_run(name, setting)]
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for round_number in range(pairs):
        for name in loops if round_number % 2 == 0 else reversed(loops):
            with busy_processes(busy):
                timed = in_fresh_process(name)
            rates[name].append(timed["images"] / timed["seconds"])
            print(f"round {round_number + 1}, {name}: {rates[name][-1]:,.0f} images/s", file=sys.stderr)
        ratios = {
            name: [ours / theirs for ours, theirs in zip(rates["ganbench"], measured, strict=True)]
            for name, measured in rates.items()
        }
        if out is not None:
            figures = {"images_per_second": rates, "ganbench_ratio": ratios}
            write_results(
                out, {**asdict(setting), "data_dir": None, "rounds": pairs, "busy": busy}, setting.device, figures
            )
    show(rates, ratios)


def can_run(name: str, setting: Setting) -> bool:
    """Return whether to measure a loop: Lightning if installed, and ganbench-eager only on a GPU."""
    if name == "lightning" and find_spec("lightning") is None:
        print("skipping lightning: not installed", file=sys.stderr)
        return False
    return name != "ganbench-eager" or setting.device.startswith("cuda")


def in_fresh_process(name: str) -> dict[str, float]:
    """Run this command in a fresh process to measure one loop; return its images and seconds.

    ganbench's wait policy is passed as an environment variable, because these processes import torch before ganbench.
    """
    # imported here, because importing ganbench before torch would set the policy for all loops
    from ganbench.system.openmp import passive_wait_policy

    wait_policy = passive_wait_policy(os.environ) if name.startswith("ganbench") else {}
    command = [sys.executable, "-m", "benchmarks.loops", *sys.argv[1:], "--only", name]
    finished = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **wait_policy})
    if finished.returncode:
        raise SystemExit(f"{name} failed:\n{finished.stderr}")
    measured: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return measured


def show(rates: dict[str, list[float]], ratios: dict[str, list[float]]) -> None:
    table = Table("loop", "images/s (median)", "ganbench / loop (median)", "range over rounds")
    for name, measured in rates.items():
        ratio_range = f"{min(ratios[name]):.3f} to {max(ratios[name]):.3f}"
        table.add_row(name, f"{median(measured):,.0f}", f"{median(ratios[name]):.3f}", ratio_range)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
