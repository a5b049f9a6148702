"""What all loops share: data, networks, optimisers, device, and how a stretch of steps is timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench.runtime.cpu import use_physical_cores
from ganbench.runtime.precision import Precision, float32_precision
from ganbench.system.files import default_data_dir
from ganbench_datasets.fashion_mnist.sources import Source, load
from ganbench_models.dcgan.networks import Discriminator, Generator

WARMUP_STEPS = 5
LATENT_DIM = 100
LEARNING_RATE = 1e-4
SEED = 42


@dataclass(frozen=True)
class Setting:
    """One measurement's conditions, the same for every loop."""

    device: str
    precision: Precision
    batch_size: int
    seconds: float  # about how long to time
    source: Source  # of FashionMNIST, as in `-o dataset.source=`
    data_dir: Path | None

    def images(self) -> tuple[Tensor, Tensor]:
        """The train split: uint8 images (N, 1, 28, 28) and labels (N,)."""
        data = load(self.source, self.data_dir or default_data_dir())
        assert isinstance(data.train, TensorDataset)
        images, labels = data.train.tensors
        return images, labels

    def players(self) -> tuple[nn.Module, nn.Module]:
        """The homework's generator and discriminator, on the device."""
        torch.manual_seed(SEED)
        generator = Generator((1, 28, 28), LATENT_DIM, 64, 0.3)
        discriminator = Discriminator((1, 28, 28), 64, 0.3, 0.3)
        return generator.to(self.device), discriminator.to(self.device)

    def adam(self, player: nn.Module, fused: bool | None = None) -> torch.optim.Adam:
        return torch.optim.Adam(player.parameters(), lr=LEARNING_RATE, fused=fused)

    @contextmanager
    def conditions(self) -> Iterator[None]:
        """What has to be equal for all loops and is none's own to choose: threads and number format."""
        use_physical_cores()
        with float32_precision(self.precision):
            yield

    def synchronize(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Timed:
    """What a loop did in its timed stretch."""

    images: int
    seconds: float


def time_steps(setting: Setting, steps: Iterator[int]) -> Timed:
    """Run steps, each of which yields its number of images, for about the setting's seconds after a warm-up.

    The device is waited for at both ends only.
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
