"""Batches of real images, resident on the device or streamed to it, and conversions of image values."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset

from ganbench.errors import GanbenchError, restated
from ganbench.plugin.interfaces import Split
from ganbench.runtime.ranks import SINGLE, Ranks
from ganbench.runtime.rng import IsolatedRNG
from ganbench.spec.sections import DataOptions
from ganbench.system.signals import obey_parent_only

from .contract import CheckedSplit
from .worker_copy import WorkerCopies


def normalize_images(images: Tensor) -> Tensor:
    """Convert uint8 images to float32 in [-1, 1]: mean 0.5 and standard deviation 0.5, relative to the range."""
    return images.to(torch.float32).div_(127.5).sub_(1)


def network_input(data: Tensor) -> Tensor:
    """Normalize images, which are uint8; return vectors, which are float32, as they are."""
    return normalize_images(data) if data.dtype == torch.uint8 else data


def to_uint8(images: Tensor) -> Tensor:
    """Convert images in [-1, 1] to uint8, rounding to the nearest integer (half to even)."""
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


DEFAULT_OPTIONS = DataOptions()
Inputs = tuple[Tensor, ...]  # the host's inputs to a step; the first dimension of each is the batch


@dataclass(frozen=True)
class RankShare:
    """This rank's share of each step's images; all ranks use the same order and the same random flips."""

    ranks: Ranks = SINGLE
    chunk: int = 1  # images of an update, which the ranks split

    def of(self, rows: Tensor) -> Tensor:
        """Return this rank's rows of a step, in the order of the updates."""
        return self.ranks.share(rows, self.chunk)


ALL = RankShare()


class Batches(Protocol):
    """A split in shuffled batches; the last batch of an epoch may be smaller.

    `epoch` does the work of the host, `load` that of the device: an engine may capture `load` in a CUDA graph.
    """

    placement: str  # "resident" on the device, or "streamed" to it
    order: torch.Generator  # for shuffling; on the CPU, so that the order is the same on every device
    flips: torch.Generator | None  # for random flips, on the device; None without flips
    share: RankShare

    def epoch(self) -> Iterator[Inputs]:
        """Make one pass over the split, yielding the inputs of `load` for each batch."""

    def load(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return images, float32 `(N, C, H, W)` in [-1, 1], or vectors `(N, D)`, and labels `(N,)`, on the device."""


class ResidentBatches:
    """Keeps the whole split on the device, images as uint8; batches are gathered and normalized there."""

    placement = "resident"

    def __init__(
        self,
        split: TensorDataset,
        batch_size: int,
        device: torch.device,
        order: torch.Generator,
        drop_last: bool = False,
        flips: torch.Generator | None = None,
        share: RankShare = ALL,
    ) -> None:
        images, labels = split.tensors
        self.images = images.to(device)
        self.labels = labels.to(device).long()
        self.batch_size = batch_size
        self.order = order
        self.drop_last = drop_last
        self.flips = flips
        self.share = share

    def epoch(self) -> Iterator[Inputs]:
        order = torch.randperm(len(self.images), generator=self.order).to(self.images.device)
        for indices in split_epoch(order, self.batch_size, self.drop_last):
            yield (self.share.of(indices),)

    def load(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        (indices,) = inputs
        return random_flip(network_input(self.images[indices]), self.flips, self.share), self.labels[indices]


class StreamedBatches:
    """Reads batches in worker processes, for splits that are too large for the device or are read item by item.

    A daemonic process, such as a worker of `multiprocessing.Pool`, cannot have children: it reads the images itself.
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
        share: RankShare = ALL,
    ) -> None:
        self.device = device
        self.order = order
        self.flips = flips
        self.share = share
        workers = 0 if multiprocessing.current_process().daemon else options.workers
        copies = WorkerCopies(split) if workers and isinstance(split, CheckedSplit) else None
        self.seeds = torch.Generator()  # of the workers; seeded for each epoch
        self.loader: DataLoader[Inputs] = DataLoader(
            split,  # type: ignore[arg-type] # a Dataset with a length
            batch_sampler=ShuffledBatches(split, batch_size, drop_last, order, share),
            generator=self.seeds,
            num_workers=workers,
            worker_init_fn=partial(start_worker, copies),
            prefetch_factor=options.prefetch_batches if workers else None,
            pin_memory=device.type == "cuda",
            # no persistent_workers: workers are started and seeded for each epoch, so that a resumed run can repeat it
        )

    def epoch(self) -> Iterator[Inputs]:
        # other than the order's own numbers, and for each rank, so that their images are not transformed alike
        seed = int(torch.randint(2**62, (), generator=self.order.clone_state())) + self.share.ranks.rank
        if self.loader.num_workers == 0:
            yield from self._epoch_in_this_process(seed)
            return
        self.seeds.manual_seed(seed)
        batches: Any = iter(self.loader)
        try:
            yield from batches
        except GanbenchError as error:  # torch prepends the worker's traceback to the message
            name = f"{type(error).__module__}.{type(error).__qualname__}: "
            raise restated(error, str(error).rpartition(name)[2].rstrip()) from None
        finally:
            batches._shutdown_workers()  # now: the traceback of an error would keep `batches` alive
            for worker in batches._workers:
                if worker.is_alive():  # it hangs in native code; when Python exits, it would wait for it forever
                    worker.kill()

    def _epoch_in_this_process(self, seed: int) -> Iterator[Inputs]:
        """Read an epoch as a worker would: with separate random number generators, seeded for each epoch."""
        batches = iter(self.loader)
        epoch_rng = IsolatedRNG(seed)
        while True:
            with epoch_rng:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def load(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in inputs)
        return random_flip(network_input(images), self.flips, self.share), labels.long()


def start_worker(copies: WorkerCopies | None, worker_id: int) -> None:
    """Prepare a data worker, in its own process, before it reads images."""
    obey_parent_only()
    if copies is not None:
        copies(worker_id)


class ShuffledBatches(Sampler[list[int]]):
    """Yields this rank's share of the indices of each batch, in the same order as `ResidentBatches`."""

    def __init__(
        self, split: Split, batch_size: int, drop_last: bool, order: torch.Generator, share: RankShare
    ) -> None:
        self.size = len(split)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.order = order
        self.share = share

    def __iter__(self) -> Iterator[list[int]]:
        for indices in split_epoch(torch.randperm(self.size, generator=self.order), self.batch_size, self.drop_last):
            yield self.share.of(indices).tolist()


def split_epoch(order: Tensor, batch_size: int, drop_last: bool) -> Iterator[Tensor]:
    """Yield the indices of each batch of an epoch."""
    for indices in order.split(batch_size):
        if len(indices) == batch_size or not drop_last:
            yield indices


def random_flip(images: Tensor, rng: torch.Generator | None, share: RankShare = ALL) -> Tensor:
    """Flip each image horizontally with probability 1/2; without an rng, return the images unchanged."""
    if rng is None:
        return images
    draws = torch.rand(len(images) * share.ranks.size, 1, 1, 1, generator=rng, device=images.device)
    flipped = share.of(draws) < 0.5
    return torch.where(flipped, images.flip(-1), images)


def make_batches(
    split: Split,
    batch_size: int,
    device: torch.device,
    order: torch.Generator,
    drop_last: bool = False,
    flips: torch.Generator | None = None,
    options: DataOptions = DEFAULT_OPTIONS,
    share: RankShare = ALL,
) -> Batches:
    """Return resident batches for a `TensorDataset` that is small enough, else streamed batches.

    Subclasses of `TensorDataset` are streamed, because they may override `__getitem__`.
    """
    if type(split) is TensorDataset and split.tensors[0].nbytes <= options.max_resident_mib * 2**20:
        return ResidentBatches(split, batch_size, device, order, drop_last, flips, share)
    return StreamedBatches(split, batch_size, device, order, drop_last, flips, options, share)


def select_images(split: Split, indices: Tensor, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield the images at `indices`, in that order, in batches on the device.

    They are uint8 `(N, C, H, W)`, or vectors, float32 `(N, D)`.
    """
    for batch in indices.split(batch_size):
        if type(split) is TensorDataset:
            yield split.tensors[0][batch].to(device)
        else:
            yield torch.stack([split[index][0] for index in batch.tolist()]).to(device)
