"""Losses that break a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ganbench import Batch, BuildContext, LossPlugin, Options, Players, Schedulable, ScheduleConfig

from .broken import Broken, disturbed

Outputs = tuple[Tensor, Tensor]  # of the discriminator, for real and generated images


class Wasserstein:
    def discriminator_loss(self, players: Players, batch: Batch) -> Any:
        return self.value(*self.outputs(players, batch)), self.monitors(batch)

    def generator_loss(self, players: Players, batch: Batch) -> Any:
        return -players.discriminate(players.generate(batch), batch.fake_labels).float().mean(), {}

    def outputs(self, players: Players, batch: Batch) -> Outputs:
        real = players.discriminate(batch.real, batch.labels)
        return real, players.discriminate(players.generate(batch), batch.fake_labels)

    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        return (fake.float() - real.float()).mean()

    def monitors(self, batch: Batch) -> dict[str, Tensor]:
        return {"brightness": batch.real.mean()}


class Vector(Wasserstein):
    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real


class Reserved(Wasserstein):
    def monitors(self, batch: Batch) -> dict[str, Tensor]:
        return {"seconds": batch.real.mean()}


class Unlabeled(Wasserstein):
    def outputs(self, players: Players, batch: Batch) -> Outputs:
        return players.discriminate(batch.real), players.discriminate(players.generate(batch))


class Darkening(Wasserstein):
    def outputs(self, players: Players, batch: Batch) -> Outputs:
        batch.real.mul_(0.5)
        return super().outputs(players, batch)


class Coarse(Wasserstein):
    """Averages in the precision of the networks."""

    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        return (fake - real).mean()


class Disturbed(Wasserstein):
    def __init__(self, disturbance: Callable[[Tensor], Tensor]) -> None:
        self.disturbance = disturbance

    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.disturbance(super().value(real, fake) * 2)


class WithBuffer(nn.Module, Wasserstein):
    """Its tensor has to be on the device of the images."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(()))

    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.factor * super().value(real, fake)


class WithLateBuffer(nn.Module, Wasserstein):
    """Its buffer, a moving average of the critic's estimate, is created in the first call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", None)

    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        value = super().value(real, fake)
        if self.average is None:
            self.average = torch.zeros_like(value.detach())
        self.average.lerp_(value.detach(), 0.1)
        return value + (value - self.average).square()


class Pairing(Wasserstein):
    """Knows that generated images have the labels of the real ones."""

    needs_labels = pairs_images = True

    def outputs(self, players: Players, batch: Batch) -> Outputs:
        fake = players.discriminate(players.generate(batch), batch.labels)
        return players.discriminate(batch.real, batch.labels), fake


class WeightOptions(Options):
    weight: Annotated[float | ScheduleConfig, Schedulable(ge=0)] | None = Field(None, description="default: 1")


class Weighted(Wasserstein):
    def __init__(self, weight: float | Tensor | None) -> None:
        self.weight = weight

    def value(self, real: Tensor, fake: Tensor) -> Tensor:
        value = super().value(real, fake)
        return value if self.weight is None else self.weight * value


def build_weighted(options: WeightOptions, context: BuildContext) -> Weighted:
    return Weighted(context.scheduled(options.weight))


def loss(make: Callable[[], Wasserstein]) -> LossPlugin:
    return LossPlugin(name="mine", summary="A Wasserstein loss", build=lambda *_: make())


SOUND = loss(Wasserstein)
SOUND_MODULE = loss(WithBuffer)
SOUND_LATE = loss(WithLateBuffer)
SOUND_PAIRING = loss(Pairing)
SOUND_WEIGHTED = LossPlugin(name="mine", summary="A weighted loss", options=WeightOptions, build=build_weighted)
BROKEN = {
    "each loss is a finite scalar with gradients for its network": Broken(
        loss(Vector), "expected a scalar, got shape (16, 1) for discriminator_loss"
    ),
    "monitors are scalars with unreserved names": Broken(loss(Reserved), "the history's columns, got seconds"),
    "it passes the labels of the images": Broken(loss(Unlabeled), "got None: pass batch.labels for real images"),
    "it does not change the batch": Broken(loss(Darkening), "expected unchanged batch.real, got"),
    "losses are float32 in bf16": Broken(loss(Coarse), "expected a float32 discriminator_loss, got torch.bfloat16"),
    **disturbed(lambda disturbance: loss(lambda: Disturbed(disturbance())), "loss.disturbance"),
}
