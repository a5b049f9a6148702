"""Models that break a rule."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ganbench import Batch, ModelPlugin, Networks, Players

from .broken import Broken, disturbed

Change = Callable[[Tensor], Tensor]


class Generator(nn.Module):
    """A linear generator whose images are changed."""

    def __init__(self, shape: tuple[int, ...], change: Change) -> None:
        super().__init__()
        self.linear = nn.Linear(8, prod(shape))
        self.shape = shape
        self.change = change

    def forward(self, latent: Tensor) -> Tensor:
        return self.change(self.linear(latent).tanh().unflatten(1, self.shape))


class Discriminator(nn.Module):
    def __init__(self, shape: tuple[int, ...], change: Change) -> None:
        super().__init__()
        self.linear = nn.Linear(prod(shape), 1)
        self.change = change

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.linear(images.flatten(1)))


class Shifted(Generator):
    """Has random weights that are not in its state_dict."""

    def __init__(self, shape: tuple[int, ...], change: Change) -> None:
        super().__init__(shape, change)
        self.shift = torch.rand(())

    def forward(self, latent: Tensor) -> Tensor:
        return super().forward(latent) - self.shift


class Locked(Generator):
    """Cannot be copied."""

    def __init__(self, shape: tuple[int, ...], change: Change) -> None:
        super().__init__(shape, change)
        self.lock = threading.Lock()


class OneWay(Generator):
    """Cannot return from eval mode."""

    def train(self, mode: bool = True) -> Any:
        if mode and not self.training:
            raise RuntimeError("there is no way back")
        return super().train(mode)


def same(values: Tensor) -> Tensor:
    return values


def model(
    generated: Callable[[], Change] = lambda: same,
    output: Change = same,
    generator: type[Generator] = Generator,
    before: Callable[[], Any] = lambda: None,
) -> ModelPlugin:
    def build(options: Any, context: Any) -> Networks:
        before()
        shape = context.data_shape
        return Networks(generator(shape, generated()), Discriminator(shape, output), latent_dim=8)

    return ModelPlugin(name="mine", summary="Two linear layers", build=build)


def in_numpy(images: Tensor) -> Tensor:
    """Numpy has no bfloat16."""
    return torch.from_numpy(images.detach().numpy())


class OfPairs(nn.Module):
    """A discriminator of pairs of an image and a latent vector."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.linear = nn.Linear(prod(shape) + 8, 1)

    def forward(self, images: Tensor, latent: Tensor) -> Tensor:
        return self.linear(torch.cat([images.flatten(1), latent], 1))


class OfPacks(nn.Module):
    """A discriminator that returns one logit for two images."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * prod(shape), 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.reshape(len(images) // 2, -1))


class Direct:
    """A Wasserstein loss that calls the discriminator itself."""

    def __init__(self, of_pairs: bool) -> None:
        self.of_pairs = of_pairs

    def output(self, players: Players, batch: Batch, images: Tensor) -> Tensor:
        more = (batch.latent,) if self.of_pairs else ()
        return players.networks.discriminator(players.augment(images), *more).float().mean()

    def discriminator_loss(self, players: Players, batch: Batch) -> Any:
        fake = self.output(players, batch, players.generate(batch))
        return fake - self.output(players, batch, batch.real), {}

    def generator_loss(self, players: Players, batch: Batch) -> Any:
        return -self.output(players, batch, players.generate(batch)), {}


def with_frozen_part() -> ModelPlugin:
    def build(options: Any, context: Any) -> Networks:
        size = prod(context.data_shape)
        frozen = nn.Linear(size, 8).requires_grad_(False)
        discriminator = nn.Sequential(nn.Flatten(), frozen, nn.Tanh(), nn.Linear(8, 1))
        return Networks(Generator(context.data_shape, same), discriminator, latent_dim=8)

    return ModelPlugin(name="mine", summary="Two linear layers", build=build)


def called_directly(discriminator: type[nn.Module]) -> ModelPlugin:
    def build(options: Any, context: Any) -> Networks:
        shape = context.data_shape
        return Networks(Generator(shape, same), discriminator(shape), latent_dim=8)

    return ModelPlugin(name="mine", summary="Two linear layers", build=build)


SOUND = model()
SOUND_FROZEN = with_frozen_part()
SOUND_WITH = {  # models that need a particular loss
    "pairs": (called_directly(OfPairs), Direct(of_pairs=True)),
    "packs": (called_directly(OfPacks), Direct(of_pairs=False)),
}
BROKEN = {
    "generated images have the right shape": Broken(model(lambda: lambda images: images.flatten(1)), "got (16, 784)"),
    "generated images are in range": Broken(
        model(lambda: lambda images: images * 9), "expected values in [-1, 1], got -"
    ),
    "the discriminator returns a finite output for each image": Broken(
        model(output=lambda logits: logits.mean(0, keepdim=True)), "expected 16 rows, one for each image, got 1"
    ),
    "gradients reach both networks": Broken(
        model(lambda: lambda images: images.detach()), "got none or zeros for the loss of the generator"
    ),
    "the same seed builds the same networks": Broken(model(before=torch.seed), "linear.weight"),
    "loading a state dict reproduces the generator": Broken(model(generator=Shifted), "expected equal images"),
    "a copy of the generator makes the same images": Broken(model(generator=Locked), "cannot pickle"),
    "both networks run in bf16": Broken(model(lambda: in_numpy), "BFloat16"),
    "scoring leaves no trace": Broken(model(generator=OneWay), "there is no way back"),
    **disturbed(model, "generator.change"),
}
