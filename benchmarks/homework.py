"""Create the tables and figures in docs/homework.md from the stored runs of `dcgan-fashion`.

python -m benchmarks.homework
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from statistics import mean, stdev

from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import t

from ganbench import Registry
from ganbench.reporting.plots import read_curve
from ganbench.spec.loading import find_published_curve

from .checkout import ROOT
from .pages import put_between

RUN = ROOT / "benchmarks" / "results" / "dcgan-fashion-cpu" / "seed-42"
ON_GPU = ROOT / "benchmarks" / "results" / "h200" / "reference"  # by benchmarks.reference, a folder for each seed
SEEDS_ON_GPU = (42, 1, 2)
PAGE = ROOT / "docs" / "homework.md"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- tables: made by python -m benchmarks.homework -->\n", "<!-- end of tables -->"
BEGIN_SEEDS, END_SEEDS = "<!-- seeds: made by python -m benchmarks.homework -->\n", "<!-- end of seeds -->"
JUMP = 0.05  # fall of D loss from one epoch to the next, at least
SETTLED = 10  # epochs after which D loss climbs steadily
COLUMNS = {"d_loss": "D loss", "g_loss": "G loss", "real_score": "real score", "fake_score": "fake score"}


def main() -> None:
    published, measured = published_curve(), read_curve(RUN / "history.csv")
    put_between(PAGE, BEGIN, END, render())
    put_between(PAGE, BEGIN_SEEDS, END_SEEDS, render_seeds())
    save_curves(published, measured, IMAGES / "dcgan-fashion-losses.png")
    save_samples(IMAGES / "dcgan-fashion-samples.png")


def published_curve() -> dict[str, list[float]]:
    published = find_published_curve("dcgan-fashion", Registry.load())
    assert published is not None
    return read_curve(published.history)


def render() -> str:
    """Return Markdown tables of losses and scores by epoch, measured and published, and of FID."""
    published, measured = published_curve(), read_curve(RUN / "history.csv")
    titles = [f"{title}, {of}" for title in COLUMNS.values() for of in ("published", "seed 42")]
    lines = [f"| epoch | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    pairs = [zip_longest(published[column], measured[column]) for column in COLUMNS]
    for epoch, cells in enumerate(zip(*pairs, strict=True), start=1):
        values = [f"{value:.4f}" if value is not None else "" for pair in cells for value in pair]
        lines.append(f"| {epoch} | {' | '.join(values)} |")
    scores = fid_curve()
    lines += ["", f"| epoch | {' | '.join(map(str, scores))} |", "|---" * (1 + len(scores)) + "|"]
    lines.append(f"| FID (fashion-cnn) | {' | '.join(f'{value:.4f}' for value in scores.values())} |")
    return "\n".join(lines) + "\n"


def fid_curve() -> dict[int, float]:
    stored = json.loads((RUN / "scores.json").read_text(encoding="utf-8"))
    return {int(epoch): value for epoch, value in stored["curve"].items()}


@dataclass(frozen=True)
class Trained:
    """A run of all epochs."""

    name: str
    d_loss: list[float]
    g_loss: list[float]
    fid: dict[int, float]  # by epoch

    def jumps(self) -> list[int]:
        """Return the epochs at which D loss fell, after it has begun to climb."""
        falls = enumerate(pairwise(self.d_loss), start=2)
        return [epoch for epoch, (before, after) in falls if epoch > SETTLED and before - after >= JUMP]


def all_runs() -> list[Trained]:
    """Return the published run, without FID, and all measured ones."""
    published, on_cpu = published_curve(), read_curve(RUN / "history.csv")
    runs = [
        Trained("published", published["d_loss"], published["g_loss"], {}),
        Trained("seed 42, CPU", on_cpu["d_loss"], on_cpu["g_loss"], fid_curve()),
    ]
    for seed in SEEDS_ON_GPU:
        stored = json.loads((ON_GPU / f"seed-{seed}" / "reference.json").read_text(encoding="utf-8"))
        d_loss, g_loss = (stored["losses"][column]["by_seed"][0] for column in ("d_loss", "g_loss"))
        (score,) = stored["scores"].values()
        fid = {int(epoch): value for epoch, value in zip(score["epochs"], score["by_seed"][0], strict=True)}
        runs.append(Trained(f"seed {seed}, {stored['environment']['must_match']['device']}", d_loss, g_loss, fid))
    return runs


def render_seeds() -> str:
    """Return a Markdown table of all runs, and the band of their final FID."""
    runs = all_runs()
    lines = [
        "| run | D loss, epoch 1 | D loss, epoch 50 | G loss, epoch 50 | epochs at which D loss drops | "
        "FID at 0 | 10 | 30 | 50 |",
        "|---" * 9 + "|",
    ]
    for run in runs:
        losses = [f"{value:.4f}" for value in (run.d_loss[0], run.d_loss[-1], run.g_loss[-1])]
        fids = [f"{run.fid[epoch]:.4f}" if run.fid else "" for epoch in (0, 10, 30, 50)]
        lines.append(f"| {' | '.join([run.name, *losses, ', '.join(map(str, run.jumps())), *fids])} |")
    center, deviation, band = fid_band([run.fid[50] for run in runs if run.fid])
    lines += [
        "",
        f"Final FID: mean {center:.3f}, standard deviation {deviation:.3f}, 95% prediction interval ± {band:.3f}.",
    ]
    return "\n".join(lines) + "\n"


def fid_band(scores: list[float]) -> tuple[float, float, float]:
    """Return the mean, the standard deviation, and half of the 95% prediction interval for another run.

    The scores are assumed to be normal and independent (Student 1908).
    """
    quantile = float(t.ppf(0.975, len(scores) - 1))
    return mean(scores), stdev(scores), quantile * stdev(scores) * (1 + 1 / len(scores)) ** 0.5


def save_curves(published: dict[str, list[float]], measured: dict[str, list[float]], path: Path) -> None:
    """Plot both losses, measured and published, with FID below."""
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    losses, fid = figure.subplots(2, height_ratios=[2, 1], sharex=True)
    for column, label, color in (("d_loss", "discriminator", "tab:blue"), ("g_loss", "generator", "tab:orange")):
        losses.plot(published["epoch"], published[column], color=color, alpha=0.3, label=f"{label}, published")
        losses.plot(measured["epoch"], measured[column], color=color, label=f"{label}, seed 42")
    losses.set(ylabel="mean loss")
    fid.plot(*zip(*fid_curve().items(), strict=True), color="black", marker="o", markersize=4)
    fid.set(xlabel="epoch", ylabel="FID (fashion-cnn)", ylim=(0, None))
    for axes in (losses, fid):
        axes.grid(alpha=0.3)
    losses.legend()
    figure.savefig(path, dpi=120)


def save_samples(path: Path) -> None:
    """Put the stored grids side by side: real images, then generated images from the same latent vectors."""
    names = ("real", "epoch-0010", "epoch-0030", "epoch-0050")
    grids = [Image.open(RUN / "samples" / f"{name}.png").convert("L") for name in names]
    gap = 16
    sheet = Image.new("L", (sum(grid.width + gap for grid in grids) - gap, max(grid.height for grid in grids)), 255)
    left = 0
    for grid in grids:
        sheet.paste(grid, (left, 0))
        left += grid.width + gap
    sheet.save(path)


if __name__ == "__main__":
    main()
