"""The sample images of a run, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganbench.errors import describe
from ganbench.results.sample_names import REAL, parse_generated
from ganbench.results.schema import Result


@dataclass(frozen=True)
class SampleGrid:
    """A grid of images."""

    caption: str  # such as "epoch 5"
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class SampleGrids:
    """Real images, and generated ones in the order of training."""

    real: SampleGrid | None
    generated: Sequence[SampleGrid]
    notes: Sequence[str]


def read_samples(folder: Path, result: Result, max_bytes: int) -> SampleGrids:
    """Read the PNG files of a result from the samples folder of its run.

    If they exceed `max_bytes`, some steps are left out; if even the last one does, it is reduced to fewer pixels.
    """
    listed = {Path(path).name for path in result.artifacts.values()}  # others are of another run
    files = {file.stem: file for file in sorted(folder.glob("*.png")) if file.name in listed}
    real = [file] if (file := files.pop(REAL, None)) else []
    generated = sorted(files.values(), key=lambda file: images_until(file.stem, result))
    chosen, notes = choose(generated, max_bytes - total_size(real)), []
    if len(chosen) < len(generated):
        notes.append(f"{len(chosen)} of {len(generated)} steps are shown; all are in the run directory.")
    fits = total_size(real + chosen) <= max_bytes
    samples = {}
    for file in real + chosen:
        try:
            samples[file.stem] = read_sample(file, max_bytes if fits else max_bytes // 2)
        except Exception as error:  # Pillow raises errors of many types for invalid files
            notes.append(f"{file.name} cannot be shown: {describe(error)}")
    return SampleGrids(samples.pop(REAL, None), list(samples.values()), notes)


def images_until(stem: str, result: Result) -> tuple[float, str]:
    """Return after how many training images samples were generated, by the name of their file; then that name."""
    if not (parsed := parse_generated(stem)):
        return float("inf"), stem
    unit, count = parsed
    return count * (result.images_per_epoch if unit == "epoch" else result.images_per_step), stem


def choose(files: list[Path], max_bytes: int) -> list[Path]:
    """Return as many files as fit, at equal intervals and with the last one; that one even if it does not fit."""
    for every in range(1, len(files)):
        chosen = files[::-every][::-1]
        if total_size(chosen) <= max_bytes:
            return chosen
    return files[-1:]


def total_size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def read_sample(file: Path, max_bytes: int) -> SampleGrid:
    """Read a PNG file, with half as many pixels a side until it fits. Raises an error of any type if it is invalid."""
    from PIL import Image

    with Image.open(file, formats=["PNG"]) as opened:
        image = opened.convert("L" if opened.mode == "L" else "RGB")
    content = file.read_bytes()
    size = image.size
    while len(content) > max_bytes and min(image.size) > 1:
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        content = buffer.getvalue()
    parsed = parse_generated(file.stem)
    caption = f"{parsed[0]} {parsed[1]:,}" if parsed else file.stem
    return SampleGrid(caption, f"data:image/png;base64,{base64.b64encode(content).decode()}", *size)
