"""Run the default benchmark with several seeds, and compare with the published curve.

python -m benchmarks.reference --seeds 42,1,2 --out-dir benchmarks/results/NAME

Writes reference.json (losses and scores of every seed, their mean and standard deviation, seconds), reference.png, and
the final sample images of the first seed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure
from rich.console import Console

from ganbench import Registry, Result, run
from ganbench.reporting.display import terminal_display
from ganbench.reporting.plots import read_curve
from ganbench.spec.loading import find_published_curve

from .results_file import write_results


def main(
    out_dir: Annotated[Path, typer.Option(help="Write the three files to this folder.")],
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "42,1,2",
    epochs: int = 50,
    device: str = "auto",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    published_curve = find_published_curve("dcgan-fashion", Registry.load())
    assert published_curve is not None
    results: list[Result] = []
    total_seconds: list[float] = []
    for seed in seeds.split(","):
        overrides = [f"training.seed={seed}", f"training.epochs={epochs}", f"dataset.source={source}"]
        start = perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            live, out = terminal_display(Console(stderr=True)), Path(folder) / "run"
            trained = run("dcgan-fashion", *overrides, device=device, out=out, data_dir=data_dir, display=live)
            if trained.result.status != "completed":
                break
            if not results:
                shutil.copy(out / "samples" / f"epoch-{epochs:04d}.png", out_dir / "generated.png")
        results.append(trained.result)
        total_seconds.append(perf_counter() - start)
        write(results, total_seconds, read_curve(published_curve.history), {"seeds": seeds, "epochs": epochs}, out_dir)


def write(
    results: list[Result],
    total_seconds: list[float],
    published: dict[str, list[float]],
    setting: dict[str, Any],
    out_dir: Path,
) -> None:
    """Write the files for the seeds so far."""
    losses = {column: over_seeds(results, column) for column in ("d_loss", "g_loss")}
    figures = {
        "total_seconds": total_seconds,
        "losses": losses,
        "published": published,
        "scores": scores(results),
        "throughput": [result.throughput.model_dump(exclude={"windows"}) for result in results],
    }
    device = "cpu" if results[0].memory.device_peak_bytes is None else "cuda:0"
    write_results(out_dir / "reference.json", setting, device, figures)
    draw(losses, published, len(results), out_dir / "reference.png")


def over_seeds(results: list[Result], column: str) -> dict[str, Any]:
    """Return a loss by epoch: for every seed, and the mean and standard deviation over the seeds."""
    by_seed = [[getattr(row, column) for row in result.history] for result in results]
    by_epoch = [[value for value in values if value is not None] for values in zip(*by_seed, strict=True)]
    return {"by_seed": by_seed, **mean_and_std(by_epoch)}


def scores(results: list[Result]) -> dict[str, Any]:
    """Return the curve of each metric over the epochs at which it was computed."""
    by_metric: dict[str, Any] = {}
    for position, metric in enumerate(results[0].metrics):
        curves = [result.metrics[position].curve for result in results]
        by_seed = [[point.value for point in curve] for curve in curves]
        by_epoch = [[value for value in values if value is not None] for values in zip(*by_seed, strict=True)]
        epochs = [point.epoch for point in metric.curve]
        by_metric[metric.label] = {
            "epochs": epochs,
            "by_seed": by_seed,
            **mean_and_std(by_epoch),
            "protocol": metric.protocol,
            "software": metric.software,
        }
    return by_metric


def mean_and_std(by_epoch: list[list[float]]) -> dict[str, list[float]]:
    return {
        "mean": [mean(values) for values in by_epoch],
        "std": [stdev(values) if len(values) > 1 else 0.0 for values in by_epoch],
    }


def draw(losses: dict[str, Any], published: dict[str, list[float]], seeds: int, path: Path) -> None:
    """Plot the mean and one standard deviation of both losses, with the published curve."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for column, label, color in (("d_loss", "discriminator", "tab:blue"), ("g_loss", "generator", "tab:orange")):
        means, stds = losses[column]["mean"], losses[column]["std"]
        epochs = range(1, len(means) + 1)
        low, high = ([m + sign * d for m, d in zip(means, stds, strict=True)] for sign in (-1, 1))
        axes.plot(
            published["epoch"], published[column], color=color, alpha=0.4, linestyle="--", label=f"{label}, published"
        )
        axes.plot(epochs, means, color=color, label=f"{label}, mean of {seeds} seeds")
        axes.fill_between(epochs, low, high, color=color, alpha=0.2)
    axes.set(title="dcgan-fashion", xlabel="epoch", ylabel="mean loss")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    typer.run(main)
