"""Flaws that a generator may have, made from real images: what a metric should detect."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

REPEATS = frozenset(("duplicates", "collapse", "memorized"))  # flaws that only repeat images
Change = Callable[[Tensor, torch.Generator], Tensor]  # of images, uint8 (N, C, H, W), on the CPU


@dataclass(frozen=True)
class RealImages:
    """Real images to make flawed ones of; they are on the CPU."""

    images: Tensor  # uint8 (N, C, H, W), of another split than the reference
    labels: Tensor  # int64 (N,)
    reference: Tensor  # images of the reference

    def draw(self, count: int, rng: torch.Generator, among: Tensor | None = None) -> Tensor:
        """Return `count` images drawn without replacement, from those at `among` or all; there must be that many."""
        source = torch.arange(len(self.images)) if among is None else among
        return self.images[source[torch.randperm(len(source), generator=rng)[:count]]]

    def of_classes(self, classes: Tensor) -> Tensor:
        """Return the indices of the images of these classes."""
        return torch.isin(self.labels, classes).nonzero().flatten()


Make = Callable[[RealImages, int, torch.Generator], Tensor]  # returns that many images


@dataclass(frozen=True)
class Flaw:
    """A flaw: `make` returns `count` images that have it."""

    name: str
    strength: str
    make: Make
    limit: int | None = None  # the most images it can make without repeating any; None: as many as there are


def flaws(real: RealImages) -> Iterator[Flaw]:
    """Yield the flaws that images of this shape, with these labels, can have."""
    _, channels, *sides = real.images.shape
    for sigma in (0.5, 1.0, 2.0):
        if blur_radius(sigma) < min(sides):
            yield changed("blur", f"sigma {sigma:g} pixels", blur(sigma))
    for level in (5, 15, 40):
        yield changed("noise", f"std {level} of 255", noise(level))
    if channels in (1, 3):
        for quality in (90, 50, 10):
            yield changed("JPEG", f"quality {quality}", jpeg(quality))
    yield from class_flaws(real)
    for times in (2, 10):
        yield Flaw("duplicates", f"each image {times} times", repeated(times))
    yield Flaw("collapse", "one image only", lambda real, count, rng: real.draw(1, rng).expand(count, -1, -1, -1))
    yield Flaw("memorized", "copies of the reference", memorized)


def class_flaws(real: RealImages) -> Iterator[Flaw]:
    classes, sizes = real.labels.unique(return_counts=True)
    if len(classes) > 1:
        for strength, kept in (("the last class", classes[:-1]), ("half of the classes", classes[: len(classes) // 2])):
            yield Flaw("missing classes", strength, only_classes(kept), limit=len(real.of_classes(kept)))
        largest, size = classes[sizes.argmax()], int(sizes.max())
        if 2 * size < len(real.images):  # else, real images are as unbalanced
            limit = 2 * size + 1
            yield Flaw("unbalanced classes", "half of the images of the largest class", unbalanced(largest), limit)


def changed(name: str, strength: str, change: Change) -> Flaw:
    return Flaw(name, strength, lambda real, count, rng: change(real.draw(count, rng), rng))


def blur(sigma: float) -> Change:
    """Blur with a Gaussian filter of this standard deviation, in pixels."""

    def smooth(images: Tensor, rng: torch.Generator) -> Tensor:
        size = 2 * blur_radius(sigma) + 1
        return gaussian_blur(images, [size, size], [sigma, sigma])

    return smooth


def blur_radius(sigma: float) -> int:
    """Return how far the filter reaches, in pixels; images are reflected at their borders, so they must be larger."""
    return round(3 * sigma)


def noise(level: float) -> Change:
    """Add Gaussian noise with this standard deviation, in gray levels."""

    def add(images: Tensor, rng: torch.Generator) -> Tensor:
        noisy = images + level * torch.randn(images.shape, generator=rng)
        return noisy.round_().clamp_(0, 255).to(torch.uint8)

    return add


def jpeg(quality: int) -> Change:
    """Compress with PIL's JPEG encoder."""

    def compress(images: Tensor, rng: torch.Generator) -> Tensor:
        return torch.stack([compressed(image.permute(1, 2, 0).numpy(), quality) for image in images])

    return compress


def compressed(image: np.ndarray, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        return torch.from_numpy(np.array(opened).reshape(image.shape)).permute(2, 0, 1)


def only_classes(classes: Tensor) -> Make:
    return lambda real, count, rng: real.draw(count, rng, real.of_classes(classes))


def unbalanced(preferred: Tensor) -> Make:
    """Draw half from the preferred class, which has less than half of all images."""

    def draw(real: RealImages, count: int, rng: torch.Generator) -> Tensor:
        order = torch.randperm(len(real.images), generator=rng)
        preferred_half = order[real.labels[order] == preferred][: count // 2]
        others = order[~torch.isin(order, preferred_half)][: count - count // 2]
        return shuffled(real.images[torch.cat([preferred_half, others])], rng)

    return draw


def repeated(times: int) -> Make:
    def repeat(real: RealImages, count: int, rng: torch.Generator) -> Tensor:
        return shuffled(real.draw(-(-count // times), rng).repeat(times, 1, 1, 1)[:count], rng)

    return repeat


def shuffled(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return the images in a random order, as a generator makes them: the inception score depends on the order."""
    return images[torch.randperm(len(images), generator=rng)]


def memorized(real: RealImages, count: int, rng: torch.Generator) -> Tensor:
    """Copy random images of the reference, each at most once if it has enough."""
    size = len(real.reference)
    chosen = torch.randperm(size, generator=rng) if count <= size else torch.randint(size, (count,), generator=rng)
    return real.reference[chosen[:count]]
