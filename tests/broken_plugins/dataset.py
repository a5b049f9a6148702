"""Datasets that break a rule."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from ganbench import DatasetPlugin, ImageData

from .broken import Broken

LABELS = torch.arange(20) % 10
IMAGES = (torch.arange(20 * 16) % 256).to(torch.uint8).view(20, 1, 4, 4)


class Streamed(Dataset):
    """Reads images one by one, and changes each."""

    def __init__(self, change: Callable[[Tensor], Tensor] = Tensor.clone) -> None:
        self.change = change

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index >= len(self):
            raise IndexError(index)
        return self.change(IMAGES[index]), int(LABELS[index])


class Opening(Streamed):
    """Opens a file when it is read."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.file = Path(__file__).open()  # noqa: SIM115 - the file stays open
        return super().__getitem__(index)


def dataset(
    split: Callable[[], Any], fingerprint: Any = "0" * 64, summary: str = "Ramps", **fields: Any
) -> DatasetPlugin:
    def build(options: Any, context: Any) -> ImageData:
        content = fingerprint() if callable(fingerprint) else fingerprint
        return ImageData(split(), None, num_classes=10, source="computed", fingerprint=content, **fields)

    return DatasetPlugin(name="mine", summary=summary, build=build)


def in_memory() -> TensorDataset:
    return TensorDataset(IMAGES, LABELS)


def flipping() -> Streamed:
    return Streamed(lambda image: image.flip(-1) if torch.rand(()) < 0.5 else image)


SOUND = dataset(Streamed, label_counts=(2,) * 10, summary="20 + 0 grayscale 4x4 images of ramps, 10 classes")
BROKEN = {
    "splits are images or vectors of one shape with labels in range": Broken(
        dataset(lambda: Streamed(Tensor.float)), "got torch.float32 of shape (1, 4, 4) at index 0"
    ),
    "an item is the same when it is read again": Broken(
        dataset(flipping), "expected the same images and labels in two reads of the train split"
    ),
    "the fingerprint is a reproducible sha256": Broken(
        dataset(in_memory, fingerprint=lambda: f"{random.getrandbits(256):064x}"), "expected equal fingerprints"
    ),
    "label counts are those of the train split": Broken(
        dataset(Streamed, label_counts=(1, 3, *(2,) * 8)), "expected 2 images with the label 0, got a count of 1"
    ),
    "worker processes can read it": Broken(
        dataset(Opening), "expected splits that can be pickled, got TypeError: cannot pickle '_io.TextIOWrapper'"
    ),
    "the summary has the right numbers": Broken(
        dataset(in_memory, summary="28x28 ramps"), "expected a summary with '4x4', got '28x28'"
    ),
}
