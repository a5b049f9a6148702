"""Common parts of all loops: data, networks, optimizers, device, and timing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

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
    seconds: float  # approximate time to measure
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
        """Return the context for forward passes and losses. The notebook, which is always in fp32, does without."""
        return autocast(self.precision, torch.device(self.device))

    def synchronize(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Timed:
    """The measurement of a loop."""

    images: int
    seconds: float


def time_steps(setting: Setting, steps: Iterator[int]) -> Timed:
    """Run steps, which yield their numbers of images, for about `setting.seconds` after a warm-up.

    Synchronize with the device only at the beginning and at the end.
    """
    for _ in range(WARMUP_STEPS):
        next(steps)
    setting.synchronize()
    start = perf_counter()
    images = 0
    while perf_counter() - start < setting.seconds:
        images += next(steps)
    setting.synchronize()
    return Timed(images, perf_counter() - start)
