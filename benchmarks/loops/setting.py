"""Common parts of all loops: data, networks, optimizers, device, and turns."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench.runtime.cpu import use_physical_cores
from ganbench.runtime.precision import Precision, autocast, float32_precision
from ganbench.system.files import default_data_dir
from ganbench_datasets.fashion_mnist.sources import Source, load
from ganbench_models.dcgan.networks import Discriminator, Generator

WARMUP_STEPS = 5
LATENT_DIM = 100
LEARNING_RATE = 1e-4
SEED = 42


@dataclass(frozen=True)
class Setting:
    """The conditions of a measurement, the same for every loop."""

    device: str
    precision: Precision
    batch_size: int
    seconds: float  # approximate length of a turn
    source: Source  # source of FashionMNIST, as in `-o dataset.source=`
    data_dir: Path | None

    def images(self) -> tuple[Tensor, Tensor]:
        """Return the train split: uint8 images (N, 1, 28, 28) and labels (N,)."""
        data = load(self.source, self.data_dir or default_data_dir())
        assert isinstance(data.train, TensorDataset)
        images, labels = data.train.tensors
        return images, labels

    def players(self) -> tuple[nn.Module, nn.Module]:
        """Return the homework's generator and discriminator, on the device."""
        torch.manual_seed(SEED)
        generator = Generator((1, 28, 28), LATENT_DIM, 64, 0.3)
        discriminator = Discriminator((1, 28, 28), 64, 0.3, 0.3)
        return generator.to(self.device), discriminator.to(self.device)

    def adam(self, player: nn.Module, fused: bool | None = None) -> torch.optim.Adam:
        return torch.optim.Adam(player.parameters(), lr=LEARNING_RATE, fused=fused)

    @contextmanager
    def conditions(self) -> Iterator[None]:
        """Set the number of threads and the floating-point precision, which are the same for all loops."""
        use_physical_cores()
        with float32_precision(self.precision):
            yield

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context for forward passes and losses. The notebook does without, even with bf16."""
        return autocast(self.precision, torch.device(self.device))

    def synchronize(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)


class Turns:
    """The turns in which a loop trains; in between, it waits while other loops have theirs.

    A turn begins with a line on standard input, and ends with its images and seconds on standard output.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.images = 0
        self.start = 0.0

    def begin(self) -> None:
        """Wait for the next turn; end the process if there is none."""
        self.setting.synchronize()
        print(json.dumps({"images": self.images, "seconds": perf_counter() - self.start}), flush=True)
        if not sys.stdin.readline():
            os._exit(0)  # without the time that the regular exit takes to free the libraries
        self.images, self.start = 0, perf_counter()

    def add(self, images: int) -> None:
        """Count the images of a step or of several; the turn ends when its time is over."""
        self.images += images
        if perf_counter() - self.start >= self.setting.seconds:
            self.begin()


def take_turns(setting: Setting, steps: Iterator[int]) -> NoReturn:
    """Run steps, which yield their numbers of images, in turns after a warm-up."""
    for _ in range(WARMUP_STEPS):
        next(steps)
    turns = Turns(setting)
    turns.begin()
    while True:
        turns.add(next(steps))
