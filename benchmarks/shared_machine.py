"""Measure the effect of OMP_WAIT_POLICY: a run alone, next to a busy process, and two concurrent runs.

python -m benchmarks.shared_machine --rounds 5 --seconds 10 --out shared_machine.json

"before" is OpenMP's default, with which threads spin while they wait; "after" is ganbench's default. With
`--before DIR`, "before" is the code of another checkout, such as a git worktree of an older commit. Both are measured
in fresh processes, one after the other in each round, so the ratios are more reliable than the rates.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import typer

CONDITIONS = {"alone": (1, 0), "beside a busy process": (1, 1), "two at once": (2, 0)}  # runs, busy processes
SIDES = ("before", "after")
WINDOW_SECONDS = 0.5


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of measurements of each condition.")] = 5,
    seconds: Annotated[float, typer.Option(help="Training time of each measurement, in seconds.")] = 10.0,
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "embedded",
    before: Annotated[
        Path | None, typer.Option(help="Checkout of older code; default: this code with OpenMP's default policy.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    inside: Annotated[str | None, typer.Option(hidden=True)] = None,  # the side to measure in a child process
) -> None:
    if inside:
        print(json.dumps(train(inside, seconds, source)))
        return
    # imported here, because a child process has only the measured checkout on its path
    from benchmarks.checkout import ROOT
    from benchmarks.rounds import in_order_of

    environment = without_wait_policy(os.environ)
    rates: dict[str, dict[str, list[list[float]]]] = {name: {side: [] for side in SIDES} for name in CONDITIONS}
    policies: dict[str, str | None] = {}
    for round_number in range(rounds):
        for condition, (num_runs, busy) in CONDITIONS.items():
            for side in in_order_of(round_number, SIDES):
                folder = before if before and side == "before" else ROOT
                with busy_processes(busy):
                    reports = train_concurrently(num_runs, side, seconds, source, folder.resolve(), environment)
                policies[side] = reports[0]["wait_policy"]
                rates[condition][side].append(rates_while_all_trained(reports))
                shown = " + ".join(f"{rate:,.0f}" for rate in rates[condition][side][-1])
                print(f"round {round_number + 1}, {condition}, {side}: {shown} images/s", file=sys.stderr)
        ratios = {name: ratios_by_round(*(of[side] for side in SIDES)) for name, of in rates.items()}
        if out is not None:
            setting = {"rounds": rounds, "seconds": seconds, "source": source}
            write(
                out, setting, before, {"wait_policy": policies, "images_per_second": rates, "after_by_before": ratios}
            )
    show(rates, ratios)


def without_wait_policy(environ: Any) -> dict[str, str]:
    """Return the environment without OpenMP's wait policy. Call it before importing ganbench, which sets the policy."""
    environment = dict(environ)
    from ganbench.system.openmp import VARIABLES

    return {name: value for name, value in environment.items() if name not in VARIABLES}


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run `count` processes that each keep one CPU busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def train_concurrently(
    num_runs: int, side: str, seconds: float, source: str, checkout: Path, environment: dict[str, str]
) -> list[dict[str, Any]]:
    """Start `num_runs` training runs of a checkout's code together, and return their reports."""
    path = os.pathsep.join(map(str, (checkout, checkout / "plugins")))
    options = ["--inside", side, "--seconds", str(seconds), "--source", source]
    children = [
        subprocess.Popen(
            [sys.executable, "-P", __file__, *options],
            env={**environment, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(num_runs)
    ]
    answers = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(f"a training run failed ({side})")
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


def train(side: str, seconds: float, source: str) -> dict[str, Any]:
    """Train without scores and sample images; return the end and the number of images of each window."""
    if side == "before":
        import torch  # noqa: F401 - so that OpenMP reads its variables before ganbench can set them
    import ganbench

    class Moments(ganbench.Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_window_end(self, progress: Any) -> None:
            self.ends.append(perf_counter())

    unscored = ["metrics=[]", "sample_images.real=0", "sample_images.generated=0"]
    length = ["training.epochs=1000000", f"training.budget_seconds={seconds}", f"dataset.source={source}"]
    moments = Moments()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        run = ganbench.run(
            "dcgan-fashion",
            *unscored,
            *length,
            device="cpu",
            out=out,
            track=None,
            quiet=True,
            callback=moments,
            window_seconds=WINDOW_SECONDS,
        )
    throughput = run.result.throughput
    images = [window.images for window in throughput.windows]
    return {"ends": moments.ends, "images": images, "wait_policy": throughput.conditions.get("wait_policy")}


def rates_while_all_trained(reports: list[dict[str, Any]]) -> list[float]:
    """Return the images per second of each run while all of them were training."""
    begin = max(training["ends"][0] for training in reports)
    end = min(training["ends"][-1] for training in reports)
    rates = []
    for training in reports:
        ends = [moment for moment in training["ends"] if begin <= moment <= end]
        if len(ends) < 2:
            raise SystemExit("too few windows to measure a rate: raise --seconds")
        images = [
            images
            for moment, images in zip(training["ends"], training["images"], strict=True)
            if ends[0] < moment <= ends[-1]
        ]
        rates.append(sum(images) / (ends[-1] - ends[0]))
    return rates


def ratios_by_round(before: list[list[float]], after: list[list[float]]) -> list[float]:
    """Return the ratio of the total rates for each round."""
    return [sum(later) / sum(earlier) for earlier, later in zip(before, after, strict=True)]


def write(out: Path, setting: dict[str, Any], before: Path | None, figures: dict[str, Any]) -> None:
    # imported here, because a child process has only the measured checkout on its path
    from benchmarks.checkout import commit_of
    from benchmarks.results_file import write_results

    write_results(out, {**setting, "before": commit_of(before)}, "cpu", figures)


def show(rates: dict[str, dict[str, list[list[float]]]], ratios: dict[str, list[float]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "before, images/s (median)", "after", "after / before (median)", "range over rounds")
    for condition, of in rates.items():
        cells = [f"{median(map(sum, of[side])):,.0f}" for side in SIDES]
        spread = f"{min(ratios[condition]):.2f} to {max(ratios[condition]):.2f}"
        table.add_row(condition, *cells, f"{median(ratios[condition]):.2f}", spread)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
