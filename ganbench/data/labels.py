"""Labels for generated images, sampled with the class frequencies of the train split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench.errors import PluginError, UsageError
from ganbench.plugin.interfaces import ImageData


class LabelSampler:
    """Samples class labels by inverting the cumulative distribution, which does not synchronize with the device."""

    def __init__(self, counts: Sequence[int], device: torch.device | str) -> None:
        """`counts` is the number of train images of each class."""
        frequencies = torch.tensor(counts, dtype=torch.float64)
        cumulative = (frequencies / frequencies.sum()).cumsum(0)
        cumulative[-1] = 1.0
        self.cumulative = cumulative.float().to(device)
        self.present = frequencies.nonzero().flatten()  # the classes with images, on the CPU

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Sample labels, int64 `(count,)`, on the device of `rng`, which is the sampler's device or the CPU."""
        uniform = torch.rand(count, generator=rng, device=rng.device)
        return torch.searchsorted(self.cumulative.to(rng.device), uniform, right=True)

    def cycle(self, count: int) -> Tensor:
        """Return labels that cycle through the classes with images: int64 `(count,)`, on the CPU."""
        return self.present[torch.arange(count) % len(self.present)]


def count_labels(data: ImageData, plugin: str, model: str) -> tuple[int, ...]:
    """Return the number of train images of each class, for a conditional model.

    The data has been checked. Raises `UsageError` for a dataset with a single class, and `PluginError` for a streamed
    one without `label_counts`.
    """
    if data.num_classes < 2:
        raise UsageError(
            f"{model} is conditional, but {plugin} has no classes to condition on (num_classes is {data.num_classes}); "
            "use a dataset with labels, or an unconditional model"
        )
    counts = known_label_counts(data)
    if counts is None:
        raise PluginError(
            f"{plugin}: label_counts is missing, and {model} requires it because it is conditional; return "
            "ImageData(..., label_counts=...) with the number of train images of each class"
        )
    return counts


def known_label_counts(data: ImageData) -> tuple[int, ...] | None:
    """Return the number of train images of each class; None for a streamed dataset without `label_counts`."""
    if type(data.train) is TensorDataset:
        return count_in_memory(data.train, data.num_classes)
    return None if data.label_counts is None else tuple(data.label_counts)


def count_in_memory(split: TensorDataset, num_classes: int) -> tuple[int, ...]:
    return tuple(torch.bincount(split.tensors[1].long().cpu(), minlength=num_classes).tolist())
