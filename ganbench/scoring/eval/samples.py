"""Images given as files: a folder of image files or a NumPy array, as uint8 with an identity by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ganbench.data.contract import DARK, explain_dark
from ganbench.errors import UsageError
from ganbench.plugin.interfaces import ImageData
from ganbench.results.schema import DataRecord
from ganbench.scoring.identity import digests, hash_tensor
from ganbench.scoring.reference import Shape
from ganbench.system.files import exists, is_dir, is_file

from .arrays import Layout, convert_array, read_array
from .folder import read_folder, require_size
from .request import EXPECTED_IMAGES


@dataclass
class GivenImages:
    """Images from files, as a dataset with a single split and without classes."""

    path: Path
    images: np.ndarray  # uint8 (N, C, H, W)
    protocol: dict[str, Any]  # how the files became uint8 images
    warnings: list[str] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def is_gray(self) -> bool:
        """Return whether all channels are equal in all images."""
        parts = np.array_split(self.images, max(1, len(self.images) // 1000))
        return all((part == part[:, :1]).all() for part in parts)

    def as_data(self) -> tuple[ImageData, DataRecord]:
        """Return the images as the train split of a dataset, and their record."""
        images = torch.from_numpy(self.images)
        digest = hashlib.sha256()
        hash_tensor(images, digest)
        split = TensorDataset(images, torch.zeros(len(images), dtype=torch.int64))
        data = ImageData(split, None, num_classes=1, source="files", fingerprint=digest.hexdigest())
        record = DataRecord(
            source="files",
            fingerprint=digest.hexdigest(),
            content_sha256=digest.hexdigest(),
            content_basis="all images",
            train_images=len(images),
            test_images=0,
            notice=None,
            data_shape=self.shape,
            num_classes=1,
            warnings=self.warnings,
        )
        return data, record


def load_samples(
    source: Path | np.ndarray,
    shape: Shape | None,
    *,
    count: int | None = None,
    array: str | None = None,
    layout: Layout | None = None,
    gray: bool = False,
) -> GivenImages:
    """Read the first `count` images of a folder, a file or an array, or all.

    `shape` is the required shape of an image, (C, H, W); None accepts any. If `gray`, gray images get a single
    channel even where `shape` has three. `array` selects one of several arrays in an archive, and `layout`
    the order of its axes. Raises `UsageError` that says what was found and what to do.
    """
    path = source if isinstance(source, Path) else Path("images")  # for messages
    if array is not None and not is_file(path):
        raise UsageError(f"--array {array}: {path} is not an .npz file with several arrays")
    if isinstance(source, np.ndarray):
        images, protocol, warnings = convert_array(path, source, shape, count, layout)
    elif is_dir(path):
        images, protocol, warnings = read_folder(path, count, None if shape is None else shape[1:])
    elif path.suffix.lower() in (".npy", ".npz") and is_file(path):
        images, protocol, warnings = read_array(path, shape, count, array, layout)
    else:
        found = "neither a folder nor a NumPy file" if exists(path) else "no such file or folder"
        raise UsageError(f"{path}: {found}; {EXPECTED_IMAGES}")
    if len(images) < 2:
        raise UsageError(f"{path}: contains only one image; a score needs many, such as 10,000")
    samples = GivenImages(path, images, protocol, warnings)
    if shape is not None:
        match_shape(samples, (1, *shape[1:]) if gray and samples.is_gray() else shape)
    if copies := len(images) - len(set(digests(images))):
        samples.warnings.append(f"{path}: {copies:,} of {len(images):,} images are exact copies of others")
    if (highest := int(images.max())) < DARK:
        samples.warnings.append(f"{path}: no value is above {highest}, of 255; {explain_dark(highest)}")
    return samples


def match_shape(samples: GivenImages, shape: Shape) -> None:
    """Convert gray to color, or color without colors to gray, if the required shape differs only in that.

    Raises `UsageError` for images of another size, and for color images where gray ones are required.
    """
    own, path = samples.shape, samples.path
    require_size(path, own[1:], shape[1:])
    if (own[0], shape[0]) == (1, 3):  # as stored: the protocol must not depend on the pixels of generated images
        samples.images = np.repeat(samples.images, 3, axis=1)
        samples.protocol["channels"] = "gray, repeated to three"
        samples.warnings.append(
            f"{path}: gray images are compared with color ones, so the scores also measure the missing colors"
        )
    elif (own[0], shape[0]) == (3, 1) and samples.is_gray():
        samples.images = samples.images[:, :1]
    elif own[0] != shape[0]:
        kind = {1: "gray", 3: "color"}
        raise UsageError(
            f"{path}: its images are {kind.get(own[0], f'of {own[0]} channels')}, but those to compare with are "
            f"{kind.get(shape[0], f'of {shape[0]} channels')}; convert one side, or compare with another dataset"
        )


def count_copies(images: np.ndarray, data: ImageData) -> int:
    """Return how many images are exactly like one of the data, as far as it is in memory."""
    splits = [split.tensors[0] for split in (data.train, data.test) if type(split) is TensorDataset]
    known = {digest for images_of_split in splits for digest in digests(images_of_split.cpu().numpy())}
    return sum(digest in known for digest in digests(images))
