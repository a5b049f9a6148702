"""Metrics that break a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import MetricPlugin, Networks

from .broken import Broken


class Nearest:
    """The fraction of images within the nearest-neighbor distance of a real image."""

    higher_is_better: Any = True
    label = "precision"
    protocol: dict[str, Any] = {}

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def flat(self, images: Tensor) -> Tensor:
        return (images.double().flatten(1) - 127.5).abs()  # the same for images and their negatives

    def fit(self, reference: Any) -> None:
        self.real = torch.cat([self.flat(batch) for batch in reference.batches()])
        self.radius = torch.cdist(self.real, self.real).topk(4, largest=False).values[:, -1]

    def update(self, images: Tensor) -> None:
        self.batches.append(self.flat(images))

    def compute(self) -> Any:
        distances = torch.cdist(torch.cat(self.batches), self.real)
        self.batches.clear()
        return (distances <= self.radius + 1.0).any(1).double().mean().item()


class Blind(Nearest):
    def compute(self) -> float:
        self.batches.clear()
        return 1.0


class Reversed(Nearest):
    def compute(self) -> float:
        return -super().compute()


class Two(Nearest):
    """Has a second value, which is lower for real images."""

    higher_is_better = {"precision": True, "misses": False}

    def compute(self) -> dict[str, float]:
        precision = super().compute()
        return {"precision": precision, "misses": 1 - precision}


class OneReversed(Two):
    higher_is_better = {"precision": True, "misses": True}


class Misspelt(Two):
    higher_is_better = {"precision": True, "miss": False}


class CountingBatches(Nearest):
    def compute(self) -> float:
        return len(self.batches) + super().compute()


class InPlace(Nearest):
    def flat(self, images: Tensor) -> Tensor:
        return super().flat(images.bitwise_not_())


class OnDisk(Nearest):
    protocol = {"weights": Path("weights.bin")}


class Size:
    """A network metric: the norm of the generator's weights."""

    higher_is_better, label, protocol = False, "size", {}  # type: ignore[var-annotated]

    def measure(self, networks: Networks, loss: Any) -> float:
        return sum(parameter.norm().item() for parameter in networks.generator.parameters())


class Shrinking(Size):
    def measure(self, networks: Networks, loss: Any) -> float:
        for parameter in networks.generator.parameters():
            parameter.mul_(0.5)
        return super().measure(networks, loss)


class Sampled(Nearest):
    """Compares a random half of at least 40 images, and needs the labels of the real ones alone."""

    min_images = 40
    uses_real_labels = True

    def fit(self, reference: Any) -> None:
        assert reference.count >= self.min_images
        assert len(reference.labels) == reference.count
        super().fit(reference)

    def compute(self) -> float:
        images = torch.cat(self.batches)
        assert len(images) >= self.min_images
        assert not torch.is_grad_enabled()
        self.batches = [images[torch.randperm(len(images))[: len(images) // 2]]]
        return super().compute()


class Unranked(Blind):
    """Has only a value that is shown."""

    higher_is_better = {"one": None}

    def compute(self) -> dict[str, float]:
        return {"one": super().compute()}


def metric(make: Any) -> MetricPlugin:
    return MetricPlugin(name="mine", summary="A share of images", build=lambda *_: make())


SOUND = metric(Nearest)
SOUND_OF_NETWORKS = metric(Size)
SOUND_SAMPLED = metric(Sampled)
SOUND_UNRANKED = metric(Unranked)
BROKEN = {
    "the direction of every value is known": Broken(
        metric(Misspelt), "expected values called ['miss', 'precision'], got ['misses', 'precision']"
    ),
    "real images score better than other images": Broken(
        metric(Blind), "real images score no better than others: real images score {'': 1.0}"
    ),
    "a score does not depend on batches or previous scores": Broken(
        metric(CountingBatches), "expected the same score of the same images"
    ),
    "it does not change the images": Broken(metric(InPlace), "expected unchanged real images, got"),
    "it does not change the networks": Broken(metric(Shrinking), "got changes of 0.weight"),
    "it has a label and a protocol": Broken(metric(OnDisk), "expected a protocol that JSON can represent"),
}
