"""The homework notebook's loop, reimplemented with its inefficiencies.

Each image is converted by PIL, ToTensor and Normalize; the discriminator update backpropagates into the generator; the
generator update computes the discriminator's weight gradients; both losses are read in each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from .setting import LATENT_DIM, Setting, take_turns


class PILImages(Dataset[tuple[Any, int]]):
    """Images as returned by torchvision's FashionMNIST: converted to PIL and transformed on each access."""

    def __init__(self, setting: Setting) -> None:
        self.images, self.labels = setting.images()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.images[index, 0].numpy())
        return self.transform(image), int(self.labels[index])


def steps(setting: Setting) -> Iterator[int]:
    loader = DataLoader(PILImages(setting), batch_size=setting.batch_size, shuffle=True)
    generator, discriminator = setting.players()
    optimizer_g, optimizer_d = setting.adam(generator), setting.adam(discriminator)
    criterion = nn.BCEWithLogitsLoss()
    total_d = total_g = 0.0
    while True:
        for real, _ in loader:
            real = real.to(setting.device)
            ones = torch.ones(len(real), 1, device=setting.device)
            zeros = torch.zeros(len(real), 1, device=setting.device)

            optimizer_d.zero_grad()
            fake = generator(torch.randn(len(real), LATENT_DIM, device=setting.device))
            loss_d = criterion(discriminator(real), ones) + criterion(discriminator(fake), zeros)
            loss_d.backward()
            optimizer_d.step()

            optimizer_g.zero_grad()
            fake = generator(torch.randn(len(real), LATENT_DIM, device=setting.device))
            loss_g = criterion(discriminator(fake), ones)
            loss_g.backward()
            optimizer_g.step()

            total_d += loss_d.item()
            total_g += loss_g.item()
            yield len(real)


def run(setting: Setting) -> None:
    take_turns(setting, steps(setting))
