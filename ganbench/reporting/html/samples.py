"""The sample images of a run, as data URIs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganbench.errors import describe
from ganbench.results.schema import Result

REAL = "real"  # name of the file with real images
NAME = re.compile(r"(epoch|step)-(\d+)")


@dataclass(frozen=True)
class Sample:
    """A grid of images."""

    caption: str  # such as "epoch 5"
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Samples:
    """Real images, and generated ones in the order of training."""

    real: Sample | None
    generated: Sequence[Sample]
    notes: Sequence[str]


def read_samples(folder: Path, result: Result, max_bytes: int) -> Samples:
    """Read the PNG files in the samples folder of a run; some are left out if they exceed `max_bytes`."""
    files = {file.stem: file for file in sorted(folder.glob("*.png"))}
    real = files.pop(REAL, None)
    generated = sorted(files.values(), key=lambda file: images_until(file.stem, result))
    shown, notes = choose(real, generated, max_bytes), []
    if len(shown) < len(generated):
        notes.append(f"{len(shown)} of {len(generated)} steps are shown; all are in the run directory.")
    share = max_bytes // (len(shown) + 1)
    samples = []
    for file in ([real] if real else []) + shown:
        try:
            samples.append(read_sample(file, share))
        except Exception as error:  # Pillow raises errors of many types for invalid files
            notes.append(f"{file.name} cannot be shown: {describe(error)}")
    first = samples.pop(0) if samples and samples[0].caption == REAL else None
    return Samples(first, samples, notes)


def images_until(stem: str, result: Result) -> tuple[float, str]:
    """Return after how many training images samples were generated, by the name of their file; then that name."""
    if not (match := NAME.fullmatch(stem)):
        return float("inf"), stem
    training = result.spec.get("training", {})
    per_step = training.get("batch_size", 1) * training.get("discriminator_steps", 1)
    return int(match[2]) * (result.data.train_images if match[1] == "epoch" else per_step), stem


def choose(real: Path | None, generated: list[Path], max_bytes: int) -> list[Path]:
    """Return as many files as fit at equal intervals, the last one among them."""
    for every in range(1, len(generated)):
        chosen = generated[::-every][::-1]
        if sum(file.stat().st_size for file in [*chosen, *([real] if real else [])]) <= max_bytes:
            return chosen
    return generated[-1:]


def read_sample(file: Path, max_bytes: int) -> Sample:
    """Read a PNG file, reduced to fewer pixels until it fits. Raises an error of any type if it is invalid."""
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
    match = NAME.fullmatch(file.stem)
    caption = f"{match[1]} {int(match[2]):,}" if match else file.stem
    return Sample(caption, f"data:image/png;base64,{base64.b64encode(content).decode()}", *size)
