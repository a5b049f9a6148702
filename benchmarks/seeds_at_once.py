"""Train several seeds of the homework's benchmark with `ganbench run --seeds`: are they equal to own runs, and faster?

python -m benchmarks.seeds_at_once --epochs 3 --out seeds_at_once.json

First compares the results and checkpoints of seeds that were trained at once with those of each seed's own run. Then
measures the images per second of all seeds together, from their timing windows, which begin and end together. On a CPU,
seeds are trained one after another, so the rates say nothing there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import ganbench
from ganbench import Run
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.training.state.leaves import first_difference, leaves_of

from .results_file import write_results


def main(
    device: str = "cuda:0",
    counts: Annotated[str, typer.Option(help="Numbers of seeds, separated by commas.")] = "1,2,4",
    epochs: Annotated[int, typer.Option(help="Length of each run.")] = 3,
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    options = [f"dataset.source={source}", "metrics.0.num_samples=1000", "metrics.0.at_epochs=[]"]

    def train(seeds: list[int], folder: str) -> list[Run]:
        parent = Path(temporary) / folder
        return ganbench.run_seeds(
            "dcgan-fashion", seeds, *options, epochs=epochs, device=device, out=parent, track=None, quiet=True
        )

    with tempfile.TemporaryDirectory() as temporary:
        own = [train([seed], f"own-{seed}")[0] for seed in (0, 1)]
        together = train([0, 1], "together")
        if device != "cpu" and not all(map(trained_at_once, together)):
            raise SystemExit("the seeds were trained one after another")
        differing = {run.directory.name: difference(run, alone) for run, alone in zip(together, own, strict=True)}
        rates: dict[str, float] = {}
        for count in map(int, counts.split(",")):
            runs = train(list(range(count)), f"{count}-seeds")
            rates[str(count)] = rate_of_all(runs)
            print(f"{count} seeds: {rates[str(count)]:,.0f} images/s", flush=True)
            if out is not None:
                figures: dict[str, Any] = {"first_difference": differing, "images_per_second": rates}
                write_results(out, {"epochs": epochs, "source": source}, device, figures)
    show(rates, differing)
    if any(differing.values()):
        raise typer.Exit(1)


def rate_of_all(runs: list[Run]) -> float:
    """Return the images/s of all runs together; of runs that were trained one after another, their mean."""
    rates = [run.result.throughput.mean_images_per_second or 0.0 for run in runs]
    return sum(rates) if all(map(trained_at_once, runs)) else sum(rates) / len(rates)


def trained_at_once(run: Run) -> bool:
    return load_checkpoint(run.directory / "checkpoint.pt").progress.shared_with is not None


def difference(first: Run, second: Run) -> str | None:
    """Return the first value that differs between the scores and checkpoints of two runs; None if all are equal."""
    scores = [leaves_of([metric.model_dump() for metric in run.result.metrics]) for run in (first, second)]
    states = [leaves_of(load_checkpoint(run.directory / "checkpoint.pt").state) for run in (first, second)]
    return first_difference(*scores) or first_difference(*states)


def show(rates: dict[str, float], differing: dict[str, str | None]) -> None:
    table = Table("seeds", "images/s of all", "times one seed")
    for count, rate in rates.items():
        table.add_row(count, f"{rate:,.0f}", f"{rate / next(iter(rates.values())):.2f}")
    Console(width=100).print(table)
    for name, path in differing.items():
        print(f"{name}: {'equal bits to its own run' if path is None else f'{path} differs from that of its own run'}")


if __name__ == "__main__":
    typer.run(main)
