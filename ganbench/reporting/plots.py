"""Image grids, scatter plots of points, and loss curves."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registrations import PublishedCurve
from ganbench.results.schema import LOSS_COLUMNS, EpochRow
from ganbench.system.files import atomic_write

GAP = 2  # pixels between images in a grid
COLORS = {"discriminator": "tab:blue", "generator": "tab:orange"}
UPSCALED_HEIGHT = 112  # small images are enlarged to about this height, without interpolation
VIEW = 1.25  # a scatter plot extends up to this multiple of the extent of the real points


def draw_grid(images: np.ndarray, columns: int = 5) -> Image.Image:
    """Draw images, uint8 `(N, channels, height, width)` with one or three channels, as a grid."""
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    grid = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 255, np.uint8)
    for index, image in enumerate(images):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        grid[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    drawn = Image.fromarray(grid[..., 0] if channels == 1 else grid)
    scale = grid_scale(height)
    return drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)


def grid_scale(height: int) -> int:
    """Return by how much a grid of images of this height is enlarged."""
    return max(1, round(UPSCALED_HEIGHT / height))


def cut_grid(grid: Image.Image, height: int, width: int) -> list[Image.Image]:
    """Return the images of a grid drawn by `draw_grid`, row by row; places without an image are white."""
    scale = grid_scale(height)
    small = grid.resize((grid.width // scale, grid.height // scale), Image.Resampling.NEAREST)
    return [
        small.crop((left, top, left + width, top + height))
        for top in range(GAP, small.height - height, height + GAP)
        for left in range(GAP, small.width - width, width + GAP)
    ]


def save_grid(images: np.ndarray, path: Path, columns: int = 5) -> None:
    """Write the grid of `draw_grid` as a PNG file."""
    with atomic_write(path) as part:
        draw_grid(images, columns).save(part)


def save_scatter(real: np.ndarray, generated: np.ndarray | None, path: Path) -> None:
    """Plot generated points over real ones, float `(N, 2)`, with equal axes, as a PNG.

    The limits depend only on the real points, so that the plots of a run can be compared; the title counts the
    generated points outside.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    lowest, highest = real.min(axis=0), real.max(axis=0)
    center, reach = (lowest + highest) / 2, VIEW / 2 * (float((highest - lowest).max()) or 1.0)
    axes.set(xlim=(center[0] - reach, center[0] + reach), ylim=(center[1] - reach, center[1] + reach), aspect="equal")
    axes.scatter(
        real[:, 0], real[:, 1], s=8, color="silver" if generated is not None else "tab:blue", label="real", linewidths=0
    )
    if generated is not None:
        axes.scatter(
            generated[:, 0], generated[:, 1], s=8, color="tab:orange", label="generated", alpha=0.6, linewidths=0
        )
        outside = int((np.abs(generated - center) > reach).any(axis=1).sum())
        if outside:
            axes.set_title(f"{outside:,} of {len(generated):,} generated points are outside", fontsize="medium")
    axes.legend(loc="upper right")
    with atomic_write(path) as part:
        figure.savefig(part, dpi=100)


def save_losses(
    history: list[EpochRow],
    title: str,
    path: Path,
    published_curve: PublishedCurve | None = None,
    *,
    players: Collection[str] = PLAYERS,
    epoch_images: int | None = None,
) -> None:
    """Draw the losses by epoch, with the published curve behind in a lighter shade.

    An epoch with fewer than `epoch_images` images is drawn at the point where training ended.
    """
    from matplotlib.figure import Figure  # here, so that a broken installation only affects the plot
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    published = read_curve(published_curve.history) if published_curve else {}
    epochs = [row.epoch - 1 + min(1.0, row.images / (epoch_images or row.images)) for row in history]
    for column, player in LOSS_COLUMNS.items():
        if player not in players:
            continue
        color = COLORS[player]
        if published_curve and column in published:
            label = f"{player}, {published_curve.label}"
            axes.plot(published["epoch"], published[column], color=color, alpha=0.3, label=label)
        values = [np.nan if value is None else value for value in (getattr(row, column) for row in history)]
        marker = "o" if len(history) < 20 else None
        axes.plot(epochs, values, color=color, marker=marker, label=player)
    axes.set(title=title, xlabel="epoch", ylabel="mean loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if max(epochs, default=0) < 2 and not published_curve:
        axes.set_xlim(0, 2)  # wide enough for a tick at the first full epoch
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)


def read_curve(path: Path) -> dict[str, list[float]]:
    """Return the columns of a CSV file of numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {column: [float(row[column]) for row in rows] for column in rows[0]}
