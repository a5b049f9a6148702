"""Labels for generated images, drawn by the class frequencies of the train split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench.errors import PluginError, UsageError
from ganbench.plugin.interfaces import ImageData


class LabelSampler:
    """Draws class labels by inverting their cumulative distribution: no wait for the device."""

    def __init__(self, counts: Sequence[int], device: torch.device | str) -> None:
        """`counts` has the number of train images of each class."""
        frequencies = torch.tensor(counts, dtype=torch.float64)
        cumulative = (frequencies / frequencies.sum()).cumsum(0)
        cumulative[-1] = 1.0
        self.cumulative = cumulative.float().to(device)
        self.present = frequencies.nonzero().flatten()  # the classes that have images, on the CPU

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` labels, int64 `(count,)`, on the device of `rng`, which is the sampler's or the CPU."""
        uniform = torch.rand(count, generator=rng, device=rng.device)
        return torch.searchsorted(self.cumulative.to(rng.device), uniform, right=True)

    def cycle(self, count: int) -> Tensor:
        """Each class that has images, one after another, over and over: int64 `(count,)`, on the CPU."""
        return self.present[torch.arange(count) % len(self.present)]


def count_labels(data: ImageData, plugin: str, model: str) -> tuple[int, ...]:
    """The number of train images of each class, for a conditional model.

    Raises `UsageError` for a dataset with a single class, and `PluginError` for a streamed one without `label_counts`.
    """
    if data.num_classes < 2:
        raise UsageError(
            f"{model} is conditional, and {plugin} has no classes to condition on (its num_classes is "
            f"{data.num_classes}): choose a dataset with labels, or an unconditional model"
        )
    if data.label_counts is not None:
        counts = tuple(data.label_counts)
        if len(counts) != data.num_classes or min(counts) < 0 or sum(counts) != len(data.train):
            raise PluginError(
                f"{plugin}: its label_counts has {len(counts)} numbers that add up to {sum(counts):,}; wanted: one for "
                f"each of the {data.num_classes} classes, and together the {len(data.train):,} train images"
            )
        return counts
    if type(data.train) is TensorDataset:
        return tuple(torch.bincount(data.train.tensors[1].long().cpu(), minlength=data.num_classes).tolist())
    raise PluginError(
        f"{plugin}: it has no label_counts, which {model} needs as it is conditional: return "
        "ImageData(..., label_counts=...) with the number of train images of each class"
    )
