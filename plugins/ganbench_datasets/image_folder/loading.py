"""Loads an image folder: finds the files, decodes them, and reports all invalid files in one error."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ganbench import DataError, ImageData

from .decoded import Decoded, decoded_images
from .scanning import Invalid, Scan, scan

if TYPE_CHECKING:
    from . import ImageFolderOptions


def load(options: ImageFolderOptions, root: Path, cache_dir: Path) -> ImageData:
    """Load both splits.

    Raises `DataError` for invalid files, unless they are to be skipped, and if a split or a class has no images.
    """
    found = scan(root, options.test_fraction, options.split_seed)
    labels = {file.path: file.label for file in [*found.train, *found.test]}
    decoded = decoded_images(list(labels), root, options.size, options.channels, cache_dir)
    invalid = found.invalid | decoded.invalid
    if invalid and not options.skip_invalid:
        raise DataError(
            f"image-folder: {counted(len(invalid), 'file')} in {root} cannot be used as images: "
            f"{described(invalid, root)}. Remove or repair them, or skip them: -o dataset.skip_invalid=true"
        )
    num_train = sum(file.path not in invalid for file in found.train)
    num_test = len(decoded.valid) - num_train
    valid_labels = np.array([labels[path] for path in decoded.valid], np.int64)
    check_counts(options, root, found, valid_labels, num_train, num_test)
    images, targets = torch.from_numpy(decoded.images), torch.from_numpy(valid_labels)
    content = json.dumps([decoded.sha256, valid_labels.tolist(), num_train, len(found.classes)])
    return ImageData(
        train=TensorDataset(images[:num_train], targets[:num_train]),
        test=TensorDataset(images[num_train:], targets[num_train:]) if num_test else None,
        num_classes=max(1, len(found.classes)),
        source="files",
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        notice=notice(decoded, invalid, found, valid_labels[:num_train], options.size, root),
    )


def check_counts(
    options: ImageFolderOptions, root: Path, found: Scan, labels: np.ndarray, num_train: int, num_test: int
) -> None:
    """Raise `DataError` if a split that should exist, or a class, has no images."""
    total = counted(len(labels), "image")
    if found.split_by_folders and not (num_train and num_test):
        raise DataError(f"image-folder: no valid images in {root / ('test' if num_train else 'train')}; add images")
    if not num_train or (options.test_fraction and not num_test):
        raise DataError(
            f"image-folder: {root} has {total}, which test_fraction = {options.test_fraction} splits into {num_train} "
            f"for training and {num_test} for testing. Add images, change dataset.test_fraction, or set it to 0 "
            'for no test split (metrics then need split = "train")'
        )
    if empty := without_images(found.classes, labels):
        raise DataError(
            f"image-folder: {root}: no valid images for {', '.join(empty)}. Each folder is a class; add images to it, "
            "or remove it"
        )


def without_images(classes: list[str], labels: np.ndarray) -> list[str]:
    counts = np.bincount(labels, minlength=len(classes))
    return [name for name, count in zip(classes, counts, strict=False) if count == 0]


def notice(
    decoded: Decoded, invalid: Invalid, found: Scan, train_labels: np.ndarray, size: int, root: Path
) -> str | None:
    """Return what was left out of the dataset or is of lower quality, as scores depend on it."""
    parts = []
    if invalid:
        parts.append(f"SKIPPED {counted(len(invalid), 'invalid file')}: {described(invalid, root)}")
    if found.unused:
        names = ", ".join(map(printable, found.unused))
        parts.append(f"NOT USED, because it is not in the folder train or test: {names}")
    if untrained := without_images(found.classes, train_labels):
        parts.append(f"NO TRAINING IMAGES, only test images, in the classes {', '.join(map(printable, untrained))}")
    if decoded.enlarged:
        parts.append(f"ENLARGED {counted(decoded.enlarged, 'image')} to {size}x{size} pixels")
    if decoded.further_pages:
        parts.append(f"USED ONLY THE FIRST PAGE of {counted(decoded.further_pages, 'file')}")
    return f"image-folder: {root}: {'; '.join(parts)}" if parts else None


def described(invalid: Invalid, root: Path) -> str:
    """Return the names of all invalid files, by reason: often it is the same for all photos of a camera."""
    names: dict[str, list[str]] = {}
    for path, why in sorted(invalid.items()):
        names.setdefault(why, []).append(printable(str(path.relative_to(root))))
    return "; ".join(f"{', '.join(files)} ({why})" for why, files in names.items())


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(name: str) -> str:
    """Return a file name with escapes for line breaks and for bytes that are not UTF-8."""
    return repr(name)[1:-1]
