"""Test the robustness of runs: killed runs, full disks, and concurrent runs with an empty cache.

python -m benchmarks.robustness killed --runs 50
python -m benchmarks.robustness full --runs 20
python -m benchmarks.robustness together --runs 8

Each command trains a small benchmark on real images in separate processes, and compares with an undisturbed run:
history, scores and weights must be bitwise identical.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ganbench.errors import ExitCode
from ganbench.results.schema import load_result
from ganbench.runtime.checkpoint import load_checkpoint

from .checkout import ROOT

SMALL = [
    "dataset.source=embedded",
    "model.width=8",
    "training.batch_size=250",
    "training.epochs=4",
    "metrics.0.num_samples=200",
    "metrics.0.at_epochs=[0, 2]",
    "checkpoint.every_minutes=0",
]
PROJECTION = ROOT / "docs" / "examples" / "projection_gan.py"
# all features of a step: labels, several updates, lazy penalties, an augmentation, a schedule, EMA, horizontal flips
EVERYTHING = [
    *("model=projection-gan", "model.width=32", "loss=hinge", 'augmentations=["diffaugment"]', "ema.half_life_kimg=1"),
    'penalties=[{name="r1",weight=0.1,every=4},{name="gradient-penalty",weight=1.0,every=2}]',
    "optimizer.discriminator.lr={name='cosine',start=1e-3,end=1e-5}",
    *("training.discriminator_steps=2", "training.generator_batch_size=300", "training.horizontal_flips=true"),
    *("data.max_resident_mib=0", "metrics.0.weights=ema"),
]
app = typer.Typer(no_args_is_help=True, add_completion=False)
Runs = Annotated[int, typer.Option(help="Number of disturbed runs.")]
Seed = Annotated[int, typer.Option(help="Random seed for the times or limits of the disturbances.")]


@app.command()
def killed(
    runs: Runs = 50,
    seed: Seed = 0,
    everything: Annotated[bool, typer.Option("--everything", help="Use all features of a training step.")] = False,
) -> None:
    """Kill runs with SIGKILL at random times, and resume them, until each is complete."""
    draw, more = random.Random(seed), EVERYTHING if everything else []
    with tempfile.TemporaryDirectory() as folder:
        expected, seconds = undisturbed(Path(folder), more)
        equal = kills = during_write = 0
        for number in range(1, runs + 1):
            out, begun = Path(folder) / f"run-{number}", False
            while (
                code := kill_at_random(resume(out) if begun else begin(out, more=more), out, number, draw, seconds)
            ) is None:
                kills += 1
                begun = (out / "spec.toml").exists()
                during_write += any(out.rglob(".*.part*"))
            equal += code == ExitCode.DONE and comparable_content(out) == expected
            print(
                f"{number}/{runs}: {equal} equal, {kills} kills, {during_write} of them while a file was written",
                flush=True,
            )
    raise typer.Exit(0 if equal == runs else 1)


def kill_at_random(
    process: subprocess.Popen[bytes], out: Path, number: int, draw: random.Random, seconds: float
) -> int | None:
    """Kill a process at a random time, in every second run while it writes a checkpoint; return its code if it ends."""
    earliest = time.monotonic() + draw.uniform(0.4, 1.1) * seconds
    while time.monotonic() < earliest or (number % 2 and not any(out.glob(".checkpoint.pt.*"))):
        code = process.poll()
        if code is not None:
            return code
        time.sleep(0.0005)
    process.kill()
    process.wait()
    return None


@app.command()
def full(runs: Runs = 20, seed: Seed = 0) -> None:
    """Limit the size of files to a random size, then resume the run without the limit."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        expected, _ = undisturbed(Path(folder))
        largest = max(file.stat().st_size for file in (Path(folder) / "undisturbed").rglob("*") if file.is_file())
        good = 0
        for number in range(1, runs + 1):
            out = Path(folder) / f"run-{number}"
            limit = int(largest * draw.random())
            code = begin(out, limit).wait()
            torn = [file.name for file in out.rglob(".*.part*")]
            resumable = (out / "spec.toml").exists()
            again = (resume(out) if resumable else begin(out)).wait()
            fine = (
                code == ExitCode.FAILED and not torn and again == ExitCode.DONE and comparable_content(out) == expected
            )
            good += fine
            print(
                f"{number}/{runs}: limit {limit:,} bytes, exit {code}, torn {torn}, then {again}: {good} good",
                flush=True,
            )
    raise typer.Exit(0 if good == runs else 1)


@app.command()
def together(runs: Runs = 8) -> None:
    """Start many runs at once with an empty cache of data and statistics."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        outs = [Path(folder) / f"run-{number}" for number in range(runs)]
        short = ["dataset.source=auto", "training.epochs=1", "metrics.0.at_epochs=[0]"]
        processes = [begin(out, more=short) for out in outs]
        codes = [process.wait() for process in processes]
        results = [comparable_content(out) for out in outs]
        equal = sum(result == results[0] for result in results)
        torn = list((Path(folder) / "cache").rglob(".*.part*"))
        print(f"{codes.count(0)} of {runs} finished, {equal} with equal numbers, {len(torn)} files torn")
        print(f"data: {load_result(outs[0]).data.source}; scores: {load_result(outs[0]).metrics[0].curve}")
    raise typer.Exit(0 if codes.count(0) == equal == runs and not torn else 1)


def begin(out: Path, file_size: int | None = None, more: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    overrides = [argument for override in (*SMALL, *more) for argument in ("-o", override)]
    plugin = ["-p", str(PROJECTION)] if "model=projection-gan" in more else []
    return start(["dcgan-fashion", *plugin, *overrides, "--device", "cpu", "--out", str(out)], file_size)


def resume(out: Path) -> subprocess.Popen[bytes]:
    return start(["--resume", str(out), "--device", "cpu"])


def start(arguments: list[str], file_size: int | None = None) -> subprocess.Popen[bytes]:
    """Start `ganbench run` in a separate process, optionally with a limit for the size of files."""

    def limit() -> None:
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    return subprocess.Popen(
        [sys.executable, "-m", "ganbench", "run", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def undisturbed(folder: Path, more: Sequence[str] = ()) -> tuple[Any, float]:
    """Return the content of an undisturbed run, and its duration in seconds."""
    begin(folder / "warm", more=more).wait()
    begun = time.monotonic()
    assert begin(folder / "undisturbed", more=more).wait() == ExitCode.DONE
    return comparable_content(folder / "undisturbed"), time.monotonic() - begun


def comparable_content(out: Path) -> Any:
    """Return everything that a disturbance must not change: history without times, scores and weights."""
    result = load_result(out)
    rows = [{**row.model_dump(), "seconds": None, "images_per_second": None} for row in result.history]
    networks = load_checkpoint(out / "checkpoint.pt").state["networks"]
    weights = {
        f"{player} {name}": tensor.to(torch.float64).flatten().tolist()
        for player, tensors in networks.items()
        for name, tensor in tensors.items()
    }
    scores = [metric.model_dump(mode="json") for metric in result.metrics]
    return json.dumps([result.status, rows, scores, weights])


if __name__ == "__main__":
    app()
