"""Batches of real images: resident on the device where they fit, else streamed; and the images' number formats."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ganbench.errors import GanbenchError
from ganbench.plugin.interfaces import Split
from ganbench.runtime.rng import IsolatedRNG
from ganbench.spec.benchmark import DataOptions


def normalize_images(images: Tensor) -> Tensor:
    """From uint8 to float32 in [-1, 1]: mean 0.5 and deviation 0.5 of the range."""
    return images.to(torch.float32).div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """From [-1, 1] to uint8, rounded to the nearest level (half to even)."""
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


DEFAULT_OPTIONS = DataOptions()
Inputs = tuple[Tensor, ...]  # what the host hands over for a step; the first dimension of each is the batch


class Batches(Protocol):
    """A split in shuffled batches, the last of an epoch smaller where the batch size does not divide it.

    The host's part of the work is `epoch`, the device's is `load`: an engine may record the latter and replay it.
    """

    placement: str  # "resident" on the device, or "streamed" to it
    order: torch.Generator  # shuffles; on the CPU, so that it is the same on every device
    flips: torch.Generator | None  # mirrors images at random, on the device; None where none are

    def epoch(self) -> Iterator[Inputs]:
        """One pass over the split, as what `load` needs for each batch."""

    def load(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Images, float32 `(N, C, H, W)` in [-1, 1], and labels `(N,)`, on the device."""


class ResidentBatches:
    """The whole split as uint8 on the device, gathered and normalized there."""

    placement = "resident"

    def __init__(
        self,
        split: TensorDataset,
        batch_size: int,
        device: torch.device,
        order: torch.Generator,
        drop_last: bool = False,
        flips: torch.Generator | None = None,
    ) -> None:
        images, labels = split.tensors
        self.images = images.to(device)
        self.labels = labels.to(device).long()
        self.batch_size = batch_size
        self.order = order
        self.drop_last = drop_last
        self.flips = flips

    def epoch(self) -> Iterator[Inputs]:
        order = torch.randperm(len(self.images), generator=self.order).to(self.images.device)
        for indices in order.split(self.batch_size):
            if len(indices) == self.batch_size or not self.drop_last:
                yield (indices,)

    def load(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        (indices,) = inputs
        return random_flip(normalize_images(self.images[indices]), self.flips), self.labels[indices]


class StreamedBatches:
    """Batches from worker processes, for splits too large for the device or read from files one by one.

    A daemonic process, such as a worker of `multiprocessing.Pool`, may have no children: it reads the images itself.
    """

    placement = "streamed"

    def __init__(
        self,
        split: Split,
        batch_size: int,
        device: torch.device,
        order: torch.Generator,
        drop_last: bool = False,
        flips: torch.Generator | None = None,
        options: DataOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.device = device
        self.order = order
        self.flips = flips
        workers = 0 if multiprocessing.current_process().daemon else options.workers
        self.loader: DataLoader[Inputs] = DataLoader(
            split,  # type: ignore[arg-type] # a Dataset with a length
            batch_size=batch_size,
            shuffle=True,
            drop_last=drop_last,
            generator=order,
            num_workers=workers,
            prefetch_factor=options.prefetch_batches if workers else None,
            pin_memory=device.type == "cuda",  # workers start anew, seeded, in each epoch: it can be had again
        )

    def epoch(self) -> Iterator[Inputs]:
        if self.loader.num_workers == 0:
            yield from self._epoch_in_this_process()
            return
        try:
            yield from self.loader
        except GanbenchError as error:  # torch puts the traceback of a worker before its message
            name = f"{type(error).__module__}.{type(error).__qualname__}: "
            raise type(error)(str(error).rpartition(name)[2].rstrip()) from None

    def _epoch_in_this_process(self) -> Iterator[Inputs]:
        """As a worker would read it: whatever the dataset draws at random comes from the epoch's own generators."""
        batches = iter(self.loader)
        own = IsolatedRNG(int(torch.randint(2**62, (), generator=self.order.clone_state())))
        while True:
            with own:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def load(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in inputs)
        return random_flip(normalize_images(images), self.flips), labels


def random_flip(images: Tensor, rng: torch.Generator | None) -> Tensor:
    """The images `(N, C, H, W)`, each mirrored left to right with probability 1/2; as they are without an rng."""
    if rng is None:
        return images
    mirrored = torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def make_batches(
    split: Split,
    batch_size: int,
    device: torch.device,
    order: torch.Generator,
    drop_last: bool = False,
    flips: torch.Generator | None = None,
    options: DataOptions = DEFAULT_OPTIONS,
) -> Batches:
    """Resident batches for a `TensorDataset` that is small enough, else streamed ones.

    A subclass of `TensorDataset` may change what an item is, so it is read item by item.
    """
    if type(split) is TensorDataset and split.tensors[0].nbytes <= options.max_resident_mib * 2**20:
        return ResidentBatches(split, batch_size, device, order, drop_last, flips)
    return StreamedBatches(split, batch_size, device, order, drop_last, flips, options)


def select_images(split: Split, indices: Tensor, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """The images at `indices` in that order, uint8 `(N, C, H, W)` on the device, in batches."""
    for batch in indices.split(batch_size):
        if type(split) is TensorDataset:
            yield split.tensors[0][batch].to(device)
        else:
            yield torch.stack([split[index][0] for index in batch.tolist()]).to(device)
