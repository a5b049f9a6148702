"""What a plugin's `build` returns. Importing this module does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

Player = Literal["discriminator", "generator"]


@dataclass(frozen=True)
class Networks:
    """The two players as a model plugin built them.

    All parameters exist when `build` returns. `generator` maps latents `(N, latent_dim)` to images
    `(N, channels, height, width)` in [-1, 1]; what `discriminator` returns is between the model and the loss,
    customarily logits of shape `(N, 1)`.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_dim: int

    def __getitem__(self, player: Player) -> nn.Module:
        return self.generator if player == "generator" else self.discriminator


@dataclass(frozen=True)
class Batch:
    """What a loss gets for one player's turn, all of it on the training device."""

    real: Tensor  # (N, channels, height, width), float in [-1, 1]
    labels: Tensor  # (N,), int64
    latent: Tensor  # (N, latent_dim), standard normal, drawn afresh for each turn


@runtime_checkable
class Loss(Protocol):
    """The objective of both players.

    Each method returns the scalar that its player minimises and named scalar tensors to monitor, which may stay
    attached to the graph. The engine has frozen the other player, so nothing is detached by hand. Under bf16 the
    networks return bfloat16: a loss that averages does so in `.float()`.

    A loss with a state of its own has `state_dict` and `load_state_dict`, as an `nn.Module` has: the engine takes a few
    steps to warm up before training and restores that state afterwards. A loss that can picture a training has
    `draw(history, path)`: it gets the rows of the history and writes a PNG, the run's course.png. What the scores of a
    `NetworksMetric` mean may depend on the loss's options: it tells those in `protocol`, a mapping.
    """

    def discriminator_loss(self, networks: Networks, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]: ...

    def generator_loss(self, networks: Networks, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]: ...


class Split(Protocol):
    """A map-style `torch.utils.data.Dataset` of (image, label), image uint8 `(channels, height, width)`.

    A `TensorDataset(images, labels)` is kept on the training device; any other, a subclass of it included, is read item
    by item and streamed by a `DataLoader`. A label is a whole number from 0 to `num_classes - 1`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Any, ...]: ...


@dataclass(frozen=True)
class ImageData:
    """A data set's two splits; all their images have one shape."""

    train: Split
    test: Split
    num_classes: int
    source: str  # where it came from, in a word: "files", "download"
    fingerprint: str  # a SHA-256 of the content: equal if and only if the data is
    notice: str | None = None  # what people must know before they trust a score, shown in bold before training

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width, read once: reading an image may draw at random."""
        channels, height, width = self.train[0][0].shape
        return channels, height, width


@dataclass(frozen=True)
class ReferenceImages:
    """The real images that a metric compares with."""

    batches: Callable[[], Iterator[Tensor]]  # uint8 (N, channels, height, width) on the metric's device
    count: int
    fingerprint: str  # a key to cache what is derived from them: equal for equal images, metric, options and plugins


class Score(Protocol):
    """What every metric tells of itself."""

    @property
    def label(self) -> str:
        """As tables show it, naming the features: "FID (inception-v3)"."""

    @property
    def better(self) -> Literal["lower", "higher"]: ...

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The part of the protocol that the engine does not know: extractor, weights' hash, resize.

        The engine adds the plugin's options, the data and the counts. Versions of libraries do not belong here: a
        metric may list them in an attribute `software`, a mapping from name to version.
        """


@runtime_checkable
class Metric(Score, Protocol):
    """Scores images against real ones."""

    def fit(self, reference: ReferenceImages) -> None:
        """Take in the real images; called once, before any `update`."""

    def update(self, images: Tensor) -> None:
        """Take in a batch to score: uint8 `(N, channels, height, width)`."""

    def compute(self) -> float:
        """The score of all images since the last `compute`, which are then forgotten."""


@runtime_checkable
class NetworksMetric(Score, Protocol):
    """Scores the players themselves instead of images: a distance between weights, an objective on other data."""

    def measure(self, networks: Networks, loss: Loss) -> float:
        """The score of the players as they are, in the modes that training leaves them in; without gradients."""


@runtime_checkable
class FeatureExtractor(Protocol):
    """A frozen `torch.nn.Module` from images to features, for metrics that compare features.

    Called with uint8 images `(N, channels, height, width)` of the data set's shape, it returns floats
    `(N, num_features)`; resizing and normalising are its own.
    """

    @property
    def num_features(self) -> int: ...

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What tells its features from another's: `extractor` (its name), weights' SHA-256, resize, ..."""

    def __call__(self, images: Tensor) -> Tensor: ...


OptimizerFactory = Callable[[Iterable["nn.Parameter"]], "Optimizer"]
