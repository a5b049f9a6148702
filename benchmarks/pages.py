"""Put generated tables into pages, between two markers, and images on a sheet."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

COLUMNS = 4  # of a sheet


def put_between(page: Path, begin: str, end: str, content: str) -> None:
    """Replace what the page has between the markers, which remain. Raises `ValueError` if one is missing."""
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page}: no text between {begin.strip()!r} and {end.strip()!r}")
    page.write_text(f"{before}{begin}{content}{end}{after}", encoding="utf-8")


def save_sheet(images: dict[str, Path], path: Path) -> None:
    """Draw gray images in a grid, below their titles."""
    rows = -(-len(images) // COLUMNS)
    figure = Figure(figsize=(11, 1.6 * rows), layout="constrained")
    for axes, title in zip_longest(figure.subplots(rows, COLUMNS).flat, images):
        axes.axis("off")
        if title is not None:
            axes.imshow(Image.open(images[title]).convert("L"), cmap="gray", vmin=0, vmax=255)
            axes.set_title(title, fontsize=9)
    figure.savefig(path, dpi=100)
