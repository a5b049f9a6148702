"""Test whether `ganbench check --quality` detects a generator of half the width, and passes an unchanged one.

python -m benchmarks.gate_quality --out gate_quality.json

Two commits in a temporary repository change a model plugin of two small perceptrons: the first halves the width of the
generator's hidden layer, the second adds a comment. Each commit is checked against the one before.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from .results_file import write_results

PLUGIN = """
import math

from ganbench import ModelPlugin, Networks, Options, hookimpl

WIDTH = {width}  # of the generator's hidden layer


def build(options, context):
    from torch import nn

    pixels = math.prod(context.image_shape)
    generator = nn.Sequential(
        nn.Linear(32, WIDTH),
        nn.LeakyReLU(0.2),
        nn.Linear(WIDTH, pixels),
        nn.Tanh(),
        nn.Unflatten(1, context.image_shape),
    )
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, 64), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(64, 1)
    )
    return Networks(generator, discriminator, latent_dim=32)


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="perceptrons", summary="Two small perceptrons", options=Options, build=build)]
"""
SMALL = [
    "model=perceptrons",
    "dataset.source=embedded",
    "training.steps=1500",
    "optimizer.generator.lr=5e-4",
    "optimizer.discriminator.lr=5e-4",
    "metrics.0.num_samples=1000",
]


def main(out: Annotated[Path | None, typer.Option(help="Output JSON file.")] = None) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    checks = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        git("init", "-q")
        commit(PLUGIN.format(width=16))
        for change, text in (
            ("generator's width halved", PLUGIN.format(width=8)),
            ("a comment added", PLUGIN.format(width=8) + "# nothing else\n"),
        ):
            commit(text)
            checks[change] = check()
            print(f"{change}: exit code {checks[change]['exit_code']}, {checks[change]['fid']['message']}")
    if out is not None:
        write_results(out, {"overrides": SMALL, "threads": 1}, "cpu", {"checks": checks})


def commit(text: str) -> None:
    Path("perceptrons.py").write_text(text, encoding="utf-8")
    git("add", "perceptrons.py")
    git("-c", "user.name=ganbench", "-c", "user.email=ganbench@example.org", "commit", "-q", "-m", "change")


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def check() -> dict[str, Any]:
    """Check only the scores of the last commit against the one before."""
    overrides = [argument for override in SMALL for argument in ("-o", override)]
    command = [sys.executable, "-m", "ganbench", "check", "dcgan-fashion", "-p", "perceptrons.py", *overrides]
    how = ["--against", "HEAD~1", "--device", "cpu", "--no-speed", "--no-smoke", "--quality", "--json"]
    finished = subprocess.run([*command, *how], stdout=subprocess.PIPE)
    (report,) = json.loads(finished.stdout)["checks"]
    (name,) = (name for name in report["quantities"] if name.startswith("FID"))
    seeds = {
        side: [{"seed": run["spec"]["training"]["seed"], "fid": run["metrics"][0]["value"]} for run in runs]
        for side, runs in report["quality"].items()
    }
    return {"exit_code": finished.returncode, "fid": report["quantities"][name], **seeds}


if __name__ == "__main__":
    typer.run(main)
