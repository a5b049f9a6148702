"""The requirements on datasets: both splits are checked before training, and each item when it is read."""

from __future__ import annotations

import operator
from collections.abc import Sequence, Sized
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench.errors import GanbenchError, PluginError, describe
from ganbench.plugin.interfaces import ImageData, Split
from ganbench.runtime.rng import IsolatedRNG

from .labels import count_in_memory

CHECKED_ITEMS = 16  # items checked before training in each split that is read item by item
EXAMINED_IMAGES = 1000  # images in memory whose values are examined
DARK = 64  # if no value of the images reaches this, of 255, they probably had another range
EXPECTED = (
    "expected a pair of an image, uint8 of shape (channels, height, width), and a label; or, for data that is not "
    "images, of a vector, float32 of shape (features,), and a label"
)


class CheckedSplit:
    """A split that is read item by item and checked; errors name the plugin and the item."""

    def __init__(self, split: Split, name: str, plugin: str, num_classes: int) -> None:
        self.split = split
        self.name = name  # "train" or "test"
        self.plugin = plugin
        self.num_classes = num_classes
        self.shape: tuple[int, ...] | None = None  # the required image shape, once it is known
        self.label_counts: Sequence[int] | None = None  # as far as they are given

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        try:
            item = self.split[index]
        except GanbenchError:
            raise
        except Exception as error:
            raise PluginError(
                f"{self.plugin} raised while reading image {index} of the {self.name} split: {describe(error)}"
            ) from error
        where = f"{self.plugin}: item {index} of the {self.name} split"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise PluginError(f"{where} is {described(item)}; {EXPECTED}")
        image, label = item
        if not isinstance(image, Tensor) or (image.dtype, image.dim()) not in ((torch.uint8, 3), (torch.float32, 1)):
            raise PluginError(f"{where}: the image is {described(image)}; {EXPECTED}")
        if image.is_floating_point() and not image.isfinite().all():
            raise PluginError(f"{where}: the vector has values that are NaN or infinite; all values must be finite")
        if self.shape is not None and tuple(image.shape) != self.shape:
            raise PluginError(
                f"{where}: the image has shape {tuple(image.shape)}, but the first train image has {self.shape}; all "
                "images of a dataset must have the same shape"
            )
        return image, self._class_number(label, where)

    def _class_number(self, label: Any, where: str) -> int:
        try:
            number = int(label)
        except (TypeError, ValueError, RuntimeError):
            number = None
        if number is None or number != label or not 0 <= number < self.num_classes:
            raise PluginError(
                f"{where}: the label is {described(label)}; expected an integer from 0 to {self.num_classes - 1}, "
                f"because num_classes is {self.num_classes!r}"
            )
        if self.label_counts is not None and self.label_counts[number] == 0:
            raise PluginError(f"{where}: the label is {number}, but {wrong_count(number, self.label_counts)}")
        return number


def check_data(data: ImageData, plugin: str) -> ImageData:
    """Check both splits, and return the data with splits that check each item when it is read.

    Raises `PluginError` with the plugin, the item, its value and the expected value.
    """
    try:
        data = replace(data, num_classes=operator.index(data.num_classes))  # an int, also from NumPy
    except TypeError:
        raise PluginError(f"{plugin}: num_classes must be a positive integer, got {data.num_classes!r}") from None
    if data.num_classes < 1:
        raise PluginError(f"{plugin}: num_classes must be a positive integer, got {data.num_classes}")
    splits = {"train": data.train} if data.test is None else {"train": data.train, "test": data.test}
    wrapped: dict[str, Split] = {}
    shape: tuple[int, ...] | None = None
    for name, split in splits.items():
        if name == "test" and split is data.train:
            wrapped[name] = wrapped["train"]
            continue
        check_length(split, name, plugin)
        if type(split) is TensorDataset:
            own = check_tensors(split, name, plugin, data.num_classes)
            wrapped[name] = split
        else:
            reader = CheckedSplit(split, name, plugin, data.num_classes)
            own = tuple(reader[0][0].shape)
            reader.shape = shape or own
            for index in checked_items(split):
                reader[index]
            wrapped[name] = reader
        if shape is not None and own != shape:
            raise PluginError(
                f"{plugin}: all images must have the same shape, but the {name} split has {own} and the train split "
                f"has {shape}"
            )
        shape = own
    if data.label_counts is not None:
        try:
            counts = tuple(map(operator.index, data.label_counts))  # also of NumPy, or the values of a Counter
        except TypeError:
            raise PluginError(
                f"{plugin}: label_counts must be a sequence of integers, got {described(data.label_counts)}"
            ) from None
        data = replace(data, label_counts=counts)
        check_label_counts(counts, wrapped["train"], plugin, data.num_classes)
    return replace(data, train=wrapped["train"], test=wrapped.get("test"))


def check_label_counts(counts: Sequence[int], train: Split, plugin: str, num_classes: int) -> None:
    """Check the numbers of train images of each class, which are only counted in memory."""
    if len(counts) != num_classes or min(counts) < 0 or sum(counts) != len(train):
        raise PluginError(
            f"{plugin}: label_counts has {len(counts)} numbers with the sum {sum(counts):,}; expected one for each "
            f"of the {num_classes} classes, with the sum {len(train):,}, the number of train images"
        )
    if isinstance(train, CheckedSplit):
        train.label_counts = counts
    elif type(train) is TensorDataset:
        for label, count in enumerate(count_in_memory(train, num_classes)):
            if counts[label] != count:
                raise PluginError(
                    f"{plugin}: the train split has {count:,} images with the label {label}, but "
                    f"{wrong_count(label, counts)}"
                )


def wrong_count(label: int, counts: Sequence[int]) -> str:
    return f"label_counts[{label}] is {counts[label]:,}; expected the number of train images with that label"


def checked_items(split: Split) -> list[int]:
    """Return the indices of a few items at equal distances."""
    return sorted({round(i * (len(split) - 1) / (CHECKED_ITEMS - 1)) for i in range(CHECKED_ITEMS)})


def highest_value(split: Split) -> int | None:
    """Return the highest value of some images; None for vectors."""
    if type(split) is TensorDataset:
        images = split.tensors[0][:EXAMINED_IMAGES]
    else:
        images = torch.stack([split[index][0] for index in checked_items(split)])
    return int(images.max()) if images.dtype == torch.uint8 else None


def explain_dark(highest: int) -> str:
    """Return what is probably wrong with uint8 images, none of whose values is above `highest`, and what to do."""
    if highest <= 1:
        return "they look black; if they were floats in [0, 1], convert them by (255 * images).round() to uint8"
    return f"they look dark; if {highest} is white, multiply them by {255 / highest:.4g}"


def changes_between_reads(split: Split) -> tuple[bool, bool]:
    """Return whether a few items differ between reads with equal seeds of the default rngs, and with different seeds.

    If the first is true, no seed can reproduce the images. Any random change, such as a flip, makes the second true.
    """
    if type(split) is TensorDataset:
        return False, False
    indices = checked_items(split)  # several, because a random flip leaves half of the items as they are
    reads = []
    for seed in (0, 0, 1):
        with IsolatedRNG(seed):
            reads.append([split[index] for index in indices])
    first, again, other = reads
    return not equal_items(first, again), not equal_items(again, other)


def equal_items(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(torch.equal(one[0], other[0]) and one[1] == other[1] for one, other in zip(some, others, strict=True))


def check_length(split: Split, name: str, plugin: str) -> None:
    try:
        if not isinstance(split, Sized):
            raise PluginError(
                f"{plugin}: the {name} split is {described(split)}, which has no len(); expected a map-style dataset "
                "with len(split) and split[index]"
            )
        length = len(split)
    except GanbenchError:
        raise
    except Exception as error:
        raise PluginError(f"{plugin} raised in len() of the {name} split: {describe(error)}") from error
    if length < 1:
        raise PluginError(f"{plugin}: the {name} split has no images")


def check_tensors(split: TensorDataset, name: str, plugin: str, num_classes: int) -> tuple[int, ...]:
    """Check all images and labels of a split in memory, and return the shape of an image."""
    if len(split.tensors) != 2:
        raise PluginError(
            f"{plugin}: the {name} split is a TensorDataset of {len(split.tensors)} tensors; expected images and labels"
        )
    images, labels = split.tensors
    if (images.dtype, images.dim()) not in ((torch.uint8, 4), (torch.float32, 2)):
        raise PluginError(
            f"{plugin}: the images of the {name} split are {described(images)}; expected uint8 of shape "
            "(N, channels, height, width), or vectors, float32 of shape (N, features)"
        )
    if images.is_floating_point() and not images.isfinite().all():
        raise PluginError(
            f"{plugin}: the vectors of the {name} split have values that are NaN or infinite; all values must be finite"
        )
    integers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.dim() != 1 or not integers:
        raise PluginError(
            f"{plugin}: the labels of the {name} split are {described(labels)}; expected integers of shape (N,)"
        )
    lowest, highest = (int(each) for each in labels.long().aminmax())  # torch has no minimum of uint16
    if lowest < 0 or highest >= num_classes:
        raise PluginError(
            f"{plugin}: the labels of the {name} split range from {lowest} to {highest}; expected 0 to "
            f"{num_classes - 1}, because num_classes is {num_classes}"
        )
    return tuple(images.shape[1:])


def described(value: Any) -> str:
    """Return a short description of a value, for error messages."""
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
