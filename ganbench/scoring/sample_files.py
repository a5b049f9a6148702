"""Writes generated images: a folder of PNG files, a NumPy archive, or one image with all in a grid."""

from __future__ import annotations

import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganbench.errors import UsageError
from ganbench.reporting import plots
from ganbench.system.files import atomic_write, exists, explained_write, is_dir

# images, uint8 (N, C, H, W), or vectors, float32 (N, D), and labels (N,)
LabeledBatches = Iterable[tuple[Tensor, Tensor | None]]


def check_target(target: Path, data_shape: tuple[int, ...]) -> None:
    """Raise `UsageError` for a target that exists, cannot be written, or cannot hold images of this shape."""
    if is_dir(target):
        if (found := next(target.iterdir(), None)) is not None:
            raise UsageError(f"--out {target}: the folder is not empty, it contains {found.name}; choose another name")
    elif exists(target) or target.is_symlink():
        raise UsageError(f"--out {target}: already exists; choose another name, or remove it")
    if not is_dir(target.absolute().parent):
        raise UsageError(f"--out {target}: folder {target.absolute().parent} does not exist; create it first")
    folder = target if is_dir(target) else target.absolute().parent
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--out {target}: folder {folder} cannot be written to")
    if re.fullmatch(r"\.[A-Za-z]\w*", target.suffix) and target.suffix not in (".npz", ".png"):  # not .5
        raise UsageError(f"--out {target}: give a folder, or a file that ends in .npz or .png")
    if target.suffix == ".npz":
        return
    if len(data_shape) != 3:
        raise UsageError(f"--out {target}: the run generates vectors, not images; use an .npz file")
    if (channels := data_shape[0]) not in (1, 3):
        raise UsageError(f"--out {target}: a PNG has 1 or 3 channels, but the images have {channels}; use an .npz file")


def save_images(target: Path, count: int, batches: LabeledBatches) -> None:
    """Write `count` images to a checked target, which appears only if all of them are written.

    - FOLDER: `000000.png`, ... in the order of generation; `000000-class3.png` for a conditional model.
    - FILE.npz: `images`, uint8 `(N, H, W, C)`, or `vectors`, float32 `(N, D)`, and for a conditional model `labels`,
      int64 `(N,)`.
    - GRID.png: all images in about as many rows as columns.

    Raises `GanbenchError` if they cannot be written.
    """
    with explained_write(target):
        if target.suffix == ".png":
            images, _ = collect(batches)
            plots.save_grid(images, target, columns=math.ceil(math.sqrt(count)))
        elif target.suffix == ".npz":
            data, labels = collect(batches)
            are_images = data.ndim == 4
            arrays: dict[str, Any] = {"images": data.transpose(0, 2, 3, 1)} if are_images else {"vectors": data}
            if labels is not None:
                arrays["labels"] = labels
            with atomic_write(target) as part:
                np.savez_compressed(part, **arrays)
        else:
            save_folder(target, len(str(count - 1)), batches)


def save_folder(folder: Path, digits: int, batches: LabeledBatches) -> None:
    with filled_folder(folder) as part:
        number = 0
        for images, labels in batches:
            for index, image in enumerate(images.cpu().numpy().transpose(0, 2, 3, 1)):
                label = "" if labels is None else f"-class{int(labels[index])}"
                shown = image[..., 0] if image.shape[-1] == 1 else image
                Image.fromarray(shown).save(part / f"{number:0{max(6, digits)}}{label}.png")
                number += 1


@contextmanager
def filled_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files are in `folder`, which is new or empty, only if the block succeeds.

    A folder that exists is kept: it may be a link, a mount or the current folder, which cannot be replaced.
    """
    is_old = folder.is_dir()
    name = f".{uuid.uuid4().hex[:8]}.part"
    part = folder / name if is_old else folder.with_name(f".{folder.name}{name}")
    part.mkdir()
    try:
        yield part
        if is_old:
            move_all(part, folder)
        else:
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def move_all(part: Path, folder: Path) -> None:
    """Move the files of a folder to another, or none of them if that fails or is interrupted.

    Raises `UsageError` if the other folder has a file of the same name by now.
    """
    moved: list[Path] = []
    try:
        for file in sorted(part.iterdir()):
            target = folder / file.name
            if target.exists():
                raise UsageError(f"{target}: was written while images were generated; choose another folder with --out")
            moved.append(target)  # before the move, after which an interruption may come at once
            file.rename(target)
    except BaseException:
        for target in moved:
            target.unlink(missing_ok=True)
        raise


def collect(batches: LabeledBatches) -> tuple[np.ndarray, np.ndarray | None]:
    parts = [(images.cpu(), labels) for images, labels in batches]
    labels = [part.cpu() for _, part in parts if part is not None]
    return torch.cat([images for images, _ in parts]).numpy(), torch.cat(labels).numpy() if labels else None
