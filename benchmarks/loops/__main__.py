"""Compare the loops: in each round, a fresh process of each, which train in short turns, one at a time.

python -m benchmarks.loops --rounds 5 --seconds 10 --out loops.json

Prints the images per second of each loop and the ratio of ganbench to it. Drift of the machine affects all loops of a
round equally, so the ratios are more reliable than the rates.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Self, cast

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.results_file import write_results
from benchmarks.rounds import alternating
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
TURNS = 5  # of each loop in a round


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds, each with new processes.")] = 5,
    seconds: Annotated[float, typer.Option(help="Training time of each loop in a round, in seconds.")] = 10.0,
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
    setting = Setting(
        device, cast("Precision", precision), batch_size, seconds / TURNS, cast("Source", source), data_dir
    )
    if only is not None:
        with setting.conditions():
            importlib.import_module(LOOPS[only]).run(setting)
        raise SystemExit(f"{only} ended before its last turn")
    loops = [name for name in LOOPS if can_run(name, setting)]
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds):
        with busy_processes(busy):
            for name, rate in measure_round(loops).items():
                rates[name].append(rate)
                print(f"round {number + 1}, {name}: {rate:,.0f} images/s", file=sys.stderr)
        ratios = {
            name: [ours / theirs for ours, theirs in zip(rates["ganbench"], measured, strict=True)]
            for name, measured in rates.items()
        }
        if out is not None:
            figures = {"images_per_second": rates, "ganbench_ratio": ratios}
            conditions = {**asdict(setting), "data_dir": None, "rounds": rounds, "turns": TURNS, "busy": busy}
            write_results(out, conditions, setting.device, figures)
    show(rates, ratios)


def measure_round(loops: Sequence[str]) -> dict[str, float]:
    """Return the images per second of each loop over its turns."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(name)) for name in loops}
        for worker in workers.values():
            worker.read()  # it has warmed up
        turns = {(name, turn): workers[name].take_turn() for turn, name in alternating(loops, TURNS)}
    measured = {name: [turns[name, turn] for turn in range(TURNS)] for name in loops}
    return {
        name: sum(turn["images"] for turn in own) / sum(turn["seconds"] for turn in own)
        for name, own in measured.items()
    }


class Worker:
    """A fresh process that trains with one loop, whenever it gets a turn."""

    def __init__(self, name: str) -> None:
        # imported here, because importing ganbench before torch would set the policy for all loops
        from ganbench.system.openmp import passive_wait_policy

        # as an environment variable, because these processes import torch before ganbench
        wait_policy = passive_wait_policy(os.environ) if name.startswith("ganbench") else {}
        self.name = name
        self.folder = tempfile.TemporaryDirectory()  # for what it does not remove itself
        self.messages = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end of the block
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loops", *sys.argv[1:], "--only", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.messages,
            text=True,
            env={**os.environ, **wait_policy, "TMPDIR": self.folder.name},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # closes its input, which ends it
        self.messages.close()
        self.folder.cleanup()

    def take_turn(self) -> dict[str, float]:
        """Let it train; return its images and seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, float]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries may print text
                turn: dict[str, float] = json.loads(line)
                return turn
        self.messages.seek(0)
        raise SystemExit(f"{self.name} failed:\n{self.messages.read()}")


def can_run(name: str, setting: Setting) -> bool:
    """Return whether to measure a loop: Lightning if installed, and ganbench-eager only on a GPU."""
    if name == "lightning" and find_spec("lightning") is None:
        print("skipping lightning: not installed", file=sys.stderr)
        return False
    return name != "ganbench-eager" or setting.device.startswith("cuda")


def show(rates: dict[str, list[float]], ratios: dict[str, list[float]]) -> None:
    table = Table("loop", "images/s (median)", "ganbench / loop (median)", "range over rounds")
    for name, measured in rates.items():
        ratio_range = f"{min(ratios[name]):.3f} to {max(ratios[name]):.3f}"
        table.add_row(name, f"{median(measured):,.0f}", f"{median(ratios[name]):.3f}", ratio_range)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
