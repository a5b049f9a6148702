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
    """A generator and a discriminator, as a model plugin built them.

    All parameters exist when `build` returns. `generator` maps latents `(N, latent_dim)` to images
    `(N, channels, height, width)` in [-1, 1]. What `discriminator` returns is between the model and the loss,
    customarily logits of shape `(N, 1)`; it may be a tuple whose first item is the logits. A conditional model's
    networks take labels `(N,)`, int64, as a second argument.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_dim: int
    conditional: bool = False

    def __getitem__(self, player: Player) -> nn.Module:
        return self.generator if player == "generator" else self.discriminator


@dataclass(frozen=True)
class Batch:
    """The data for one update of one network, all of it on the training device."""

    real: Tensor  # (N, channels, height, width), float in [-1, 1]
    labels: Tensor  # (N,), int64, of the real images
    latent: Tensor  # (N, latent_dim), standard normal, drawn for this update
    fake_labels: Tensor | None = None  # (N,), int64, drawn by the train split's class frequencies; conditional only


class Players(Protocol):
    """Both networks as a loss or penalty calls them in one update.

    Labels, augmentations, mixed precision and compiled networks are handled here, so that one loss serves conditional
    and unconditional models alike.
    """

    @property
    def networks(self) -> Networks:
        """The bare networks, without any of that."""

    def generate(self, batch: Batch) -> Tensor:
        """The generator's images for the latents of `batch` (and its `fake_labels`), `(N, C, H, W)`.

        They are generated once per update, however often this is called.
        """

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The discriminator's output on images, which are augmented first; `labels` are ignored if unconditional."""

    def input_gradient(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The gradient of the discriminator's summed logits with respect to `images`, `(N, C, H, W)`.

        It is differentiable, for penalties, and taken before augmentation. For the very tensor that the loss passed to
        `discriminate` it uses that forward pass; for other images it runs another.
        """


@runtime_checkable
class Loss(Protocol):
    """The objective of both networks.

    Each method returns the scalar to minimize and named scalar tensors to monitor, which may stay attached to the
    graph. The engine has frozen the other network, so nothing is detached by hand. Under bf16 the networks return
    bfloat16: a loss that averages does so in `.float()`.

    A loss with state has `state_dict` and `load_state_dict`, as an `nn.Module` has: the engine takes a few steps to
    warm up before training and restores that state afterwards. What the scores of a `NetworksMetric` mean may depend on
    the loss's options: it lists those in `protocol`, a mapping. A loss that makes sense for conditional models alone
    has an attribute `needs_labels = True`.
    """

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]: ...

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]: ...


@runtime_checkable
class Penalty(Protocol):
    """A term that the engine adds to any loss of the discriminator, times its weight.

    It has no state, or keeps it as a `Loss` does.
    """

    def __call__(self, players: Players, batch: Batch) -> Tensor:
        """The value before weighting, a scalar tensor."""


@runtime_checkable
class Augmentation(Protocol):
    """Random, differentiable changes to the images that the discriminator sees, real and generated.

    Draw from torch's default generators. State belongs in buffers of an `nn.Module`, on the device, so that it is in
    checkpoints and a step can be captured as a CUDA graph. One that adapts has a method
    `adapt(logits)`: it is called after each update of the discriminator with its output on the real images, `(N, 1)`.
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Images of the same shape and type, `(N, C, H, W)` in [-1, 1]."""


Schedule = Callable[[int], float]  # a value by the number of real images seen


class Split(Protocol):
    """A map-style `torch.utils.data.Dataset` of (image, label), image uint8 `(channels, height, width)`.

    A `TensorDataset(images, labels)` is kept on the training device; any other, a subclass of it included, is read item
    by item and streamed by a `DataLoader`. A label is a whole number from 0 to `num_classes - 1`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Any, ...]: ...


@dataclass(frozen=True)
class ImageData:
    """A dataset's splits; all their images have one shape."""

    train: Split
    test: Split | None
    num_classes: int  # 1 where images have no classes
    source: str  # where it came from, in a word: "files", "download"
    fingerprint: str  # a SHA-256 of the content: equal if and only if the data is
    notice: str | None = None  # what people must know before they trust a score, shown in bold before training
    label_counts: tuple[int, ...] | None = None  # of the train split; conditional models need it of streamed data

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
    labels: Tensor | None = None  # (count,), int64, on the CPU; for metrics with `uses_labels`


class Features(Protocol):
    """The features of some images, in the order of the images; they may be larger than memory."""

    @property
    def labels(self) -> Tensor | None:
        """The images' labels, `(N,)`, int64, on the CPU; None for generated images of an unconditional model."""

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[Tensor]:
        """The features, `(n, num_features)` floats on the metric's device, as the extractor returned them."""

    def derived(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What `compute` returns, kept under `name` between runs where the images are real.

        The name must tell all options that the result depends on.
        """


Values = float | Mapping[str, float]  # of a metric: one, or several by name


class MetricInfo(Protocol):
    """Attributes shared by all metrics."""

    @property
    def label(self) -> str:
        """The name in tables, with the features: "FID (inception-v3)"."""

    @property
    def higher_is_better(self) -> bool | Mapping[str, bool]:
        """The direction of the value; of a metric with several values, the direction of each by its name."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The part of the evaluation protocol that the engine does not know, such as a number of neighbors.

        The engine adds the plugin's options, the features, the data and the counts. Versions of libraries do not belong
        here: a metric may list them in an attribute `software`, a mapping from name to version.
        """


@runtime_checkable
class Metric(MetricInfo, Protocol):
    """Scores images against real ones.

    With an attribute `uses_labels = True`, `update` is called with the images' labels as well.
    """

    def fit(self, reference: ReferenceImages) -> None:
        """Take in the real images; called once, before any `update`."""

    def update(self, images: Tensor) -> None:
        """Take in a batch to score: uint8 `(N, channels, height, width)`."""

    def compute(self) -> Values:
        """The score of all images since the last `compute`, which are then forgotten."""


@runtime_checkable
class FeatureMetric(MetricInfo, Protocol):
    """Scores generated images by their features.

    All such metrics with equal extractors share one pass over the generated images and one over the real ones.
    """

    @property
    def features(self) -> FeatureExtractor: ...

    def score(self, real: Features, generated: Features) -> Values: ...


@runtime_checkable
class NetworksMetric(MetricInfo, Protocol):
    """Scores the networks themselves instead of images: a distance between weights, an objective on other data."""

    def measure(self, networks: Networks, loss: Loss) -> Values:
        """The score of the networks as they are, in the modes that training leaves them in; without gradients."""


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
        """What distinguishes its features: `extractor` (its name), weights' SHA-256, resize, ..."""

    def __call__(self, images: Tensor) -> Tensor: ...


OptimizerFactory = Callable[[Iterable[tuple[str, "nn.Parameter"]]], "Optimizer"]  # from named parameters
