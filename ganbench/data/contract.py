"""What a dataset plugin has to give: both splits are checked before training, and each item as it is read."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench.errors import GanbenchError, PluginError, describe
from ganbench.plugin.interfaces import ImageData, Split
from ganbench.runtime.rng import IsolatedRNG

CHECKED_ITEMS = 16  # of each split that is read item by item, before training
WANTED = "wanted: a pair of an image, uint8 of shape (channels, height, width), and a label"


class CheckedSplit:
    """A split that is read item by item, whose faults name the plugin and the item."""

    def __init__(self, split: Split, name: str, plugin: str, num_classes: int) -> None:
        self.split = split
        self.name = name  # "train" or "test"
        self.plugin = plugin
        self.num_classes = num_classes
        self.shape: tuple[int, ...] | None = None  # of the first image, once it is known

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        try:
            item = self.split[index]
        except GanbenchError:
            raise
        except Exception as error:
            raise PluginError(
                f"{self.plugin} raised when image {index} of the {self.name} split was read: {describe(error)}"
            ) from error
        where = f"{self.plugin}: item {index} of the {self.name} split"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise PluginError(f"{where} is {described(item)}; {WANTED}")
        image, label = item
        if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.dim() != 3:
            raise PluginError(f"{where} has as its image {described(image)}; {WANTED}")
        if self.shape is not None and tuple(image.shape) != self.shape:
            raise PluginError(
                f"{where} is an image of shape {tuple(image.shape)}, and the first train image has {self.shape}; all "
                "images of a dataset have one shape (channels, height, width)"
            )
        return image, self._class_number(label, where)

    def _class_number(self, label: Any, where: str) -> int:
        try:
            number = int(label)
        except (TypeError, ValueError, RuntimeError):
            number = None
        if number is None or number != label or not 0 <= number < self.num_classes:
            raise PluginError(
                f"{where} has the label {described(label)}; wanted: a whole number from 0 to "
                f"{self.num_classes - 1}, as its num_classes is {self.num_classes!r}"
            )
        return number


def check_data(data: ImageData, plugin: str) -> ImageData:
    """The data, of which both splits have been checked and each item is, as it is read.

    Raises `PluginError` with the plugin, the item, what it is and what was wanted.
    """
    if not isinstance(data.num_classes, int) or data.num_classes < 1:
        raise PluginError(f"{plugin}: its num_classes is {data.num_classes!r}; wanted: a whole number above 0")
    splits = {"train": data.train} if data.test is None else {"train": data.train, "test": data.test}
    wrapped: dict[str, Split] = {}
    shape: tuple[int, ...] | None = None
    for name, split in splits.items():
        check_length(split, name, plugin)
        if type(split) is TensorDataset:
            own = check_tensors(split, name, plugin, data.num_classes)
            wrapped[name] = split
        else:
            reader = CheckedSplit(split, name, plugin, data.num_classes)
            own = tuple(reader[0][0].shape)
            reader.shape = shape or own
            for index in {round(i * (len(split) - 1) / (CHECKED_ITEMS - 1)) for i in range(CHECKED_ITEMS)}:
                reader[index]
            wrapped[name] = reader
        if shape is not None and own != shape:
            raise PluginError(f"{plugin}: images of shape {own} in the {name} split, and {shape} in the train split")
        shape = own
    return replace(data, train=wrapped["train"], test=wrapped.get("test"))


def changes_between_reads(data: ImageData) -> bool:
    """Whether an item differs between two reads with equal seeds of torch's, Python's and numpy's generators."""
    for split in (data.train, data.test):
        if split is not None and type(split) is not TensorDataset:
            reads = []
            for _ in range(2):
                with IsolatedRNG(0):
                    reads.append(split[0])
            if not torch.equal(reads[0][0], reads[1][0]) or reads[0][1] != reads[1][1]:
                return True
    return False


def check_length(split: Split, name: str, plugin: str) -> None:
    try:
        if not isinstance(split, Sized):
            raise PluginError(
                f"{plugin}: its {name} split is {described(split)}, which has no len(); wanted: a map-style dataset "
                "with len(split) and split[index]"
            )
        length = len(split)
    except GanbenchError:
        raise
    except Exception as error:
        raise PluginError(f"{plugin} raised in len() of its {name} split: {describe(error)}") from error
    if length < 1:
        raise PluginError(f"{plugin}: its {name} split has no images")


def check_tensors(split: TensorDataset, name: str, plugin: str, num_classes: int) -> tuple[int, ...]:
    """Check all images and labels of a split in memory; returns the images' shape."""
    if len(split.tensors) != 2:
        raise PluginError(
            f"{plugin}: its {name} split is a TensorDataset of {len(split.tensors)} tensors; wanted: images and labels"
        )
    images, labels = split.tensors
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise PluginError(
            f"{plugin}: the images of its {name} split are {described(images)}; wanted: uint8 of shape "
            "(N, channels, height, width)"
        )
    whole_numbers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.dim() != 1 or not whole_numbers:
        raise PluginError(
            f"{plugin}: the labels of its {name} split are {described(labels)}; wanted: whole numbers of shape (N,)"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        raise PluginError(
            f"{plugin}: the labels of its {name} split go from {lowest} to {highest}; wanted: 0 to {num_classes - 1}, "
            f"as its num_classes is {num_classes}"
        )
    return tuple(images.shape[1:])


def described(value: Any) -> str:
    """What something is, in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor, {str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if isinstance(value, tuple | list):
        return f"a {kind} of {len(value)}"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(repr, list(value)[:5]))}"
    if isinstance(value, bool | int | float | str | None):
        return f"{value!r:.60}"
    return f"a {kind}"
