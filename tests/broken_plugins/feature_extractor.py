"""Feature extractors that break a rule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganbench import FeatureExtractorPlugin

from .broken import Broken


class Thumbnail(nn.Module):
    num_features = 16
    protocol: dict[str, Any] = {"extractor": "mine", "resize": "4x4, average pooling"}

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images.float().mean(1), 4).flatten(1)

    def logits(self, features: Tensor) -> Tensor:
        return features[:, :10]


class Wide(Thumbnail):
    num_features = 17


class Normalized(Thumbnail):
    def forward(self, images: Tensor) -> Tensor:
        features = super().forward(images)
        return features - features.mean(0)


class Random(Thumbnail):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.rand(16))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.weight


class OnTheCPU(Thumbnail):
    """Has a tensor that `.to(device)` does not move."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.full((16,), 127.5)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) - self.mean


class InPlace(Thumbnail):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.bitwise_not_())


class OneLogit(Thumbnail):
    def logits(self, features: Tensor) -> Tensor:
        return features[:, 0]


class Trainable(Thumbnail):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


class Nameless(Thumbnail):
    protocol = {"resize": "4x4"}


def extractor(module: type[Thumbnail], summary: str = "16 features, the downsampled image") -> FeatureExtractorPlugin:
    return FeatureExtractorPlugin(name="mine", summary=summary, build=lambda *_: module().eval())


SOUND = extractor(Thumbnail)
BROKEN = {
    "features are one row of floats for each image": Broken(extractor(Wide), "expected shape (16, 17), got (16, 16)"),
    "features do not depend on the batch": Broken(
        extractor(Normalized), "expected the same features of an image in any"
    ),
    "features are the same in every run": Broken(extractor(Random), "expected the same features in every run"),
    "it runs on the device of the images": Broken(extractor(OnTheCPU), "Tensor on device"),
    "it does not change its input": Broken(extractor(InPlace), "expected unchanged images, got"),
    "logits are one finite row for each image": Broken(extractor(OneLogit), "expected shape (16, classes), got (16,)"),
    "it is frozen": Broken(extractor(Trainable), "expected no parameter that requires a gradient, got scale"),
    "the protocol names the extractor": Broken(extractor(Nameless), "expected 'mine' under 'extractor'"),
    "the summary has the right number of features": Broken(
        extractor(Thumbnail, "1,024 features"), "expected a summary with '16 features', got '1,024 features'"
    ),
}
