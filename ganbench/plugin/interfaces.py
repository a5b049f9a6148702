"""Interfaces: the objects that a plugin's `build` returns. Importing this module does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from abc import ABCMeta as ProtocolMeta

    from torch import Tensor, nn
    from torch.optim import Optimizer
else:
    ProtocolMeta = type(Protocol)

Player = Literal["discriminator", "generator"]
PLAYERS: tuple[Player, Player] = ("discriminator", "generator")  # in the order of their updates


class Interface(ProtocolMeta):
    """The metaclass of interfaces: an object has one if it has its members, whatever they are.

    From Python 3.12 on, `isinstance` overlooks those of `__getattr__`, such as the submodules of an `nn.Module`.
    """

    def __instancecheck__(self, instance: Any) -> bool:
        if not vars(self).get("_is_protocol", False):  # a plugin's class that derives from an interface
            return super().__instancecheck__(instance)
        return all(hasattr(instance, name) for name in members(self))


def members(interface: type) -> list[str]:
    """Return the names of the attributes and methods of an interface; none for another class."""
    bases = [base for base in interface.__mro__ if vars(base).get("_is_protocol", False) and base is not Protocol]
    names = dict.fromkeys(name for base in bases for name in vars(base))
    return [name for name in names if name == "__call__" or not name.startswith("_")]


def breach(built: Any, expected: tuple[type, ...]) -> str | None:
    """Return what is wrong with an object of another type than expected, with what the closest interface requires."""
    if isinstance(built, expected):
        return None
    names = " or ".join(each.__name__ for each in expected)
    missing = {each: [name for name in members(each) if not hasattr(built, name)] for each in expected}
    partly = [each for each in expected if 0 < len(missing[each]) < len(members(each))]
    hint = ""
    if partly:
        closest = min(partly, key=lambda each: len(missing[each]))
        hint = f", which lacks {', '.join(missing[closest])} of a {closest.__name__}"
    return f"build must return {names}, got {type(built).__name__}{hint}"


@dataclass(frozen=True)
class Networks:
    """A generator and a discriminator, as built by a model plugin.

    All parameters must exist when `build` returns. `generator` maps latent vectors `(N, latent_dim)` to images
    `(N, channels, height, width)` in [-1, 1], or to vectors `(N, features)` if the dataset has vectors. The output of
    `discriminator` only has to suit the loss: usually logits of shape `(N, 1)`, or a tuple whose first item is the
    logits. Several discriminators are one module that concatenates their logits to `(N, k)`, because penalties and
    adaptive augmentations use the first item of a tuple alone. The networks of a conditional model take labels `(N,)`,
    int64, as a second argument.

    With `unbounded`, images may lie outside [-1, 1], because the generator does not end with tanh or the like. Scores
    and sample images clip them.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_dim: int
    conditional: bool = False
    unbounded: bool = False

    def __getitem__(self, player: Player) -> nn.Module:
        return self.generator if player == "generator" else self.discriminator


@dataclass(frozen=True)
class Batch:
    """The data for one update of one network, on the training device."""

    real: Tensor  # images (N, channels, height, width), float in [-1, 1], or vectors (N, features) as in the dataset
    labels: Tensor  # (N,), int64, labels of the real images
    latent: Tensor  # (N, latent_dim), standard normal, sampled for this update
    fake_labels: Tensor | None = None  # (N,), int64, sampled with the train split's class frequencies; conditional only


class Players(Protocol):
    """The interface through which a loss or penalty calls both networks in one update.

    It handles labels, augmentations, mixed precision and compiled networks, so one loss works for conditional and
    unconditional models.
    """

    @property
    def networks(self) -> Networks:
        """The networks themselves: calling them directly bypasses label handling, augmentations and compilation."""

    def generate(self, batch: Batch) -> Tensor:
        """Return the images generated from `batch.latent` (and `batch.fake_labels`), `(N, C, H, W)`.

        They are generated once per update; further calls return the same images.
        """

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Augment images and return the discriminator's output; unconditional models ignore `labels`."""

    def logits(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the discriminator's logits, for penalties: its output, or the first item of the output.

        If the loss has passed the tensors `images` and `labels` to `discriminate`, that forward pass is reused.
        """

    def augment(self, images: Tensor, augmentation: Augmentation | None = None) -> Tensor:
        """Return images as the discriminator sees them, for losses that call `networks.discriminator` themselves.

        If an `augmentation` is given, such as one of the loss's own, it is applied instead of those of the spec.
        """

    def input_gradient(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the gradient of the discriminator's summed logits with respect to `images`, `(N, C, H, W)`.

        The gradient is differentiable, for penalties, and is taken with respect to the images before augmentation. It
        is float32, even with bf16. If the loss has passed the tensors `images` and `labels` to `discriminate`, that
        forward pass is reused.
        """


@runtime_checkable
class Loss(Protocol, metaclass=Interface):
    """The objectives of both networks.

    Each method returns the scalar to minimize and named scalar tensors to monitor; these need not be detached. The
    engine freezes the other network, so the loss does not detach anything. With bf16, the networks return bfloat16:
    convert to float32 with `.float()` before averaging.

    A loss with state implements `state_dict` and `load_state_dict`, like an `nn.Module`: the engine takes a few
    warm-up steps before training and restores the state afterwards. If the meaning of a `NetworksMetric`'s score
    depends on options of the loss, the loss lists these in `protocol`, a mapping. A loss for conditional models only
    has the attribute `needs_labels = True`. A loss for which the discriminator's output is not a logit, positive for
    real images and negative for generated ones, has `output_is_logit = False`: augmentations cannot adapt to it. A loss
    that pairs the n-th real image with the n-th generated one has `pairs_images = True`: a conditional model then
    generates images of the same classes, with `batch.fake_labels` equal to `batch.labels`.
    """

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]: ...

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]: ...


@runtime_checkable
class Penalty(Protocol, metaclass=Interface):
    """A term that the engine multiplies by its weight and adds to the loss of one network.

    In this network's updates, the other one is frozen. A penalty with state implements `state_dict` and
    `load_state_dict`, like a `Loss`.
    """

    def __call__(self, players: Players, batch: Batch) -> Tensor:
        """Return the unweighted value, a scalar tensor."""


@runtime_checkable
class Augmentation(Protocol, metaclass=Interface):
    """A random, differentiable transformation of all images that the discriminator sees, real and generated.

    Both are float32 and outside of autocast, even with bf16. Use torch's default random number generators. Keep state
    in buffers of an `nn.Module` on the device, so that checkpoints include it and a step can be captured as a CUDA
    graph. An adaptive augmentation implements `adapt(logits)`: it is called after each discriminator update with the
    output on the real images, `(N, 1)`.
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Return images of the same shape and dtype: float32, `(N, C, H, W)` in [-1, 1]."""


Schedule = Callable[[int], float]  # from the number of real images seen to a value


class Split(Protocol):
    """A map-style `torch.utils.data.Dataset` of (image, label) pairs.

    Images are uint8 `(channels, height, width)`; labels are integers from 0 to `num_classes - 1`. Data that is not
    images is vectors, finite float32 `(features,)`: wherever images are mentioned, the networks, losses and metrics
    then get vectors, which are neither normalized nor quantized.

    A `TensorDataset(images, labels)` is kept on the training device. Any other dataset, including a subclass of
    `TensorDataset`, is read item by item and streamed by a `DataLoader`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Any, ...]: ...


@dataclass(frozen=True)
class ImageData:
    """The splits of a dataset. All images have the same shape."""

    train: Split
    test: Split | None
    num_classes: int  # 1 if the images have no classes
    source: str  # origin of the data, in one word: "files", "download"
    fingerprint: str  # a SHA-256 of the content: equal if and only if the data is equal
    notice: str | None = None  # a caveat for interpreting scores, shown in bold before training
    label_counts: tuple[int, ...] | None = None  # of the train split; required to train conditional models on streams

    @cached_property
    def data_shape(self) -> tuple[int, ...]:
        """`(channels, height, width)` of images, or `(features,)` of vectors.

        Read only once, because reading an image may draw random numbers.
        """
        return tuple(self.train[0][0].shape)


@dataclass(frozen=True)
class ReferenceImages:
    """The real images against which a metric compares generated images."""

    # uint8 (N, channels, height, width), or float32 (N, features) if the dataset has vectors; on the metric's device
    batches: Callable[[], Iterator[Tensor]]
    count: int
    cache_key: str  # for derived data: equal for equal images, metric, options and plugins
    labels: Tensor | None = None  # (count,), int64, on the CPU; for metrics with `uses_labels` or `uses_real_labels`


class Features(Protocol):
    """The features of a set of images, in the order of the images. They need not fit into memory."""

    @property
    def labels(self) -> Tensor | None:
        """The labels of the images, `(N,)`, int64, on the CPU; None for images of an unconditional model."""

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[Tensor]:
        """Yield the features as returned by the extractor: `(n, num_features)` floats on the metric's device."""

    def derived(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the result of `compute`; for real images, cache it under `name` across runs.

        The name must include all options that affect the result.
        """


Values = float | Mapping[str, float]  # a metric's value, or several values by name


class MetricInfo(Protocol):
    """Attributes shared by all metrics.

    An image metric may have the attribute `min_images`, an int: the engine refuses, before training, to score fewer
    real or generated images. With the attribute `uses_labels = True`, it gets the labels of real and generated images,
    and the engine refuses unconditional models. With `uses_real_labels = True`, it gets the labels of real images only,
    for any model. In both cases, the engine refuses datasets without classes.
    """

    @property
    def label(self) -> str:
        """The name in tables, including the feature extractor: "FID (inception-v3)"."""

    @property
    def higher_is_better(self) -> bool | Mapping[str, bool | None] | None:
        """Whether a higher value is better; for a metric with several values, a mapping by name.

        None is for a value that is shown, but never ranked, such as a standard deviation.
        """

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The part of the evaluation protocol that only the metric knows, such as the number of neighbors.

        The engine adds the plugin's options, the features, the data and the image counts. Library versions do not
        belong here: list them in the attribute `software`, a mapping from name to version.
        """


@runtime_checkable
class Metric(MetricInfo, Protocol, metaclass=Interface):
    """Scores generated images by comparison with real images.

    With `uses_labels`, `update` also receives the labels of the images.
    """

    def fit(self, reference: ReferenceImages) -> None:
        """Process the real images; called once, before the first `update`."""

    def update(self, images: Tensor) -> None:
        """Add a batch of images to score: uint8 `(N, channels, height, width)`, or vectors, float32 `(N, features)`."""

    def compute(self) -> Values:
        """Return the score of all images added since the last `compute`, and reset."""


@runtime_checkable
class FeatureMetric(MetricInfo, Protocol, metaclass=Interface):
    """Scores generated images by their features.

    Metrics with equal extractors share one pass over the generated images and one pass over the real images.
    """

    @property
    def features(self) -> FeatureExtractor: ...

    def score(self, real: Features, generated: Features) -> Values: ...


@runtime_checkable
class NetworksMetric(MetricInfo, Protocol, metaclass=Interface):
    """Scores the networks themselves: a distance between weights, or an objective on other data."""

    def measure(self, networks: Networks, loss: Loss) -> Values:
        """Return the score of the networks, in their training modes; called without gradients."""


@runtime_checkable
class FeatureExtractor(Protocol, metaclass=Interface):
    """A frozen `torch.nn.Module` that maps images to features, for metrics that compare features.

    It takes uint8 images `(N, channels, height, width)` of the dataset's shape, or its vectors, float32
    `(N, features)`, and returns floats `(N, num_features)`; anything else is an error. It resizes and normalizes the
    images itself. A classifier implements `logits(features)`, which maps its features to the logits of the classes,
    `(N, classes)`, for metrics that use class probabilities.
    """

    @property
    def num_features(self) -> int: ...

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Everything that determines the features: `extractor` (its name), SHA-256 of the weights, resize, ...

        Entries named like one of ganbench, such as `data`, are stored as "data of the extractor".
        """

    def __call__(self, images: Tensor) -> Tensor: ...


OptimizerFactory = Callable[[Iterable[tuple[str, "nn.Parameter"]]], "Optimizer"]  # from named parameters
