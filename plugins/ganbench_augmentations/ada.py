"""Adaptive discriminator augmentation: Karras et al. 2020 (arXiv:2006.06676)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MAX_INTEGER_TRANSLATION = 1 / 8  # as a fraction of the image's side
SCALE_STD = 0.2  # of log2
FRACTIONAL_TRANSLATION_STD = 1 / 8  # as a fraction of the image's side
BRIGHTNESS_STD = 0.2
CONTRAST_STD = 0.5  # of log2
SATURATION_STD = 1.0  # of log2
CUTOUT_SIZE = 1 / 2  # as a fraction of the image's side

# the low-pass filter of the wavelet sym6 (Daubechies 1992), as in the authors' code; copies of it shifted by an even
# number of samples are orthonormal, so images that are not transformed are reconstructed, up to rounding
SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
CENTER = 5  # the sample of the filter at the position of the pixel


class Pipeline(nn.Module):
    """Transforms each image at random: each transformation is applied with probability p.

    The transformations are the pixel blits, the general geometric and the color transformations of appendix B ("bgc"),
    and cutout. Those of colors have the probability `color` times p, and cutout `cutout` times p.
    """

    p: Tensor

    def __init__(self, size: Sequence[int], color: float, cutout: float, p: float | Tensor) -> None:
        """`size` is the height and width of the images; if `p` is a tensor, its value may change between steps."""
        super().__init__()
        self.filters = nn.ModuleList([Filters(side) for side in size])  # of the vertical and the horizontal axis
        self.color = color
        self.cutout = cutout
        self.register_buffer("p", torch.as_tensor(p))

    def forward(self, images: Tensor) -> Tensor:
        linear, shift = draw_geometry(len(images), images.shape[2:], self.p)
        images = resample(images, linear.to(images.dtype), shift.to(images.dtype), *self.filters)
        if self.color:
            images = draw_color(images, self.color * self.p)
        return cut_out(images, self.cutout * self.p) if self.cutout else images


class ADA(Pipeline):
    """A pipeline whose probability p follows the overfitting of the discriminator.

    Every `every` updates of the discriminator, the mean sign of its logits on the real images, r_t (eq. 1), is compared
    with `target`: p increases if it is larger and decreases if it is smaller, at a rate of 1 in `kimg` thousand images,
    and stays in [0, 1]. p is 0 at first.

    The sign presumes a loss for which positive logits mean real images: `bce`, `minimax` or `hinge`. `lsgan` has its
    threshold at 1/2, and the logits of `wgan` and `rpgan` have none.
    """

    sign_sum: Tensor
    count: Tensor
    updates: Tensor

    def __init__(
        self, size: Sequence[int], color: float, cutout: float, target: float, every: int, kimg: float
    ) -> None:
        super().__init__(size, color, cutout, p=0.0)
        self.target = target
        self.every = every
        self.kimg = kimg
        # of the logits since the last change of p
        self.register_buffer("sign_sum", torch.zeros(()))
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def adapt(self, logits: Tensor) -> None:
        """Count the signs of the logits on real images, and change p if it is due: no branch, for CUDA graphs."""
        self.sign_sum.add_(logits.sign().mean() * len(logits))
        self.count.add_(len(logits))
        self.updates.add_(1)
        due = self.updates % self.every == 0
        change = (self.sign_sum / self.count - self.target).sign() * self.count / (1000 * self.kimg)
        self.p.add_(change * due).clamp_(0, 1)
        for statistic in (self.sign_sum, self.count):
            statistic.mul_(~due)


def draw_geometry(count: int, size: Sequence[int], p: Tensor) -> tuple[Tensor, Tensor]:
    """Draw blits and geometric transformations of images with a height and width `size`.

    Positions are vectors (x, y) in pixels from the center: at the position v, the result shows what the image shows at
    `linear @ v + shift`. Returns `linear`, `(count, 2, 2)`, and `shift`, `(count, 2)`.
    """
    height, width = size
    linear = torch.eye(2, device=p.device).repeat(count, 1, 1)
    shift = torch.zeros(count, 2, device=p.device)

    def chosen(probability: Tensor = p) -> Tensor:
        return (torch.rand(count, device=p.device) < probability).float()

    def uniform(*shape: int) -> Tensor:
        """Uniform in [-1, 1)."""
        return 2 * torch.rand(count, *shape, device=p.device) - 1

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, device=p.device)

    def in_pixels(fractions: Tensor) -> Tensor:
        return torch.stack([fractions[:, 0] * width, fractions[:, 1] * height], 1)

    # pixel blits
    mirrored = chosen() * torch.randint(2, (count,), device=p.device)
    linear = times(linear, diagonal(1 - 2 * mirrored, torch.ones_like(mirrored)))
    linear = times(linear, rotation(chosen() * torch.randint(4, (count,), device=p.device) * (math.pi / 2)))
    translation = in_pixels(MAX_INTEGER_TRANSLATION * uniform(2)).round() * chosen()[:, None]
    shift = shift - apply(linear, translation)
    # general geometric transformations; of two rotations, at least one is applied with probability p
    rotated = 1 - (1 - p).sqrt()
    scale = torch.exp2(SCALE_STD * normal() * chosen())
    linear = times(linear, diagonal(1 / scale, 1 / scale))
    linear = times(linear, rotation(math.pi * uniform() * chosen(rotated)))
    stretch = torch.exp2(SCALE_STD * normal() * chosen())
    linear = times(linear, diagonal(1 / stretch, stretch))
    linear = times(linear, rotation(math.pi * uniform() * chosen(rotated)))
    translation = in_pixels(FRACTIONAL_TRANSLATION_STD * normal(2)) * chosen()[:, None]
    return linear, shift - apply(linear, translation)


class Filters(nn.Module):
    """Low-pass filters along an axis of the images, as matrices."""

    up: Tensor  # mirrors the axis at both ends and upsamples it by 2
    down: Tensor  # downsamples it by 2

    def __init__(self, side: int) -> None:
        super().__init__()
        # the maximum padding, because a size that depends on random numbers would prevent a CUDA graph
        padded = 3 * side - 2
        spread = torch.zeros(2 * padded + len(SYM6) - 2, padded)
        for pixel in range(padded):
            spread[2 * pixel : 2 * pixel + len(SYM6), pixel] = torch.tensor(SYM6)
        source = (torch.arange(padded) - (side - 1)).abs()
        source = (side - 1) - (source - (side - 1)).abs()
        up = torch.zeros(len(spread), side).index_add_(1, source, spread)
        self.register_buffer("up", up, persistent=False)
        self.register_buffer("down", spread[: 2 * side + len(SYM6) - 2, :side].T.contiguous(), persistent=False)


def resample(images: Tensor, linear: Tensor, shift: Tensor, vertical: Filters, horizontal: Filters) -> Tensor:
    """Show at each position v, in pixels from the center, what the images show at `linear @ v + shift`.

    The images are mirrored at their edges, upsampled by 2, interpolated linearly, and downsampled by 2. The
    interpolation is written with `gather`, because torch cannot differentiate its `grid_sample` twice, as R1 requires.
    On a GPU with TF32, the filters round to 10 bits, a fraction of a level of an 8-bit image.
    """
    count, channels, height, width = images.shape
    upsampled = vertical.up.to(images.dtype) @ images @ horizontal.up.to(images.dtype).T
    # sample m of the upsampled image is at the position (m - CENTER) / 2 of the mirrored one
    columns, rows = (
        (torch.arange(filters.down.shape[1], dtype=images.dtype, device=images.device) - CENTER) / 2 - (side - 1) / 2
        for filters, side in ((horizontal, width), (vertical, height))
    )
    positions = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).reshape(1, -1, 2)
    sources = apply(linear[:, None], positions) + shift[:, None]
    x, y = (2 * (sources[..., axis] + (side - 1) * 3 / 2) + CENTER for axis, side in enumerate((width, height)))
    samples = interpolate(upsampled, x, y).reshape(count, channels, len(rows), len(columns))
    return vertical.down.to(images.dtype) @ samples @ horizontal.down.to(images.dtype).T


def interpolate(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the bilinear interpolation at the columns x and rows y, `(N, P)`, as `(N, C, P)`; 0 outside."""
    count, channels, height, width = images.shape
    flat = images.flatten(2)
    left, top = x.floor(), y.floor()
    total = torch.zeros(count, channels, x.shape[1], dtype=images.dtype, device=images.device)
    for column in (left, left + 1):
        for row in (top, top + 1):
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            values = flat.gather(2, index[:, None].expand(-1, channels, -1))
            total = total + values * (weight * inside)[:, None]
    return total


def draw_color(images: Tensor, p: Tensor) -> Tensor:
    """Apply random color transformations; hue and saturation to color images only."""

    def chosen() -> Tensor:
        return (torch.rand(len(images), 1, 1, 1, device=p.device) < p).float()

    def normal() -> Tensor:
        return torch.randn(len(images), 1, 1, 1, device=p.device)

    flips = torch.randint(2, (len(images), 1, 1, 1), device=p.device)
    angle = math.pi * (2 * torch.rand(len(images), 1, 1, 1, device=p.device) - 1)
    return recolor(
        images,
        brightness=(BRIGHTNESS_STD * normal() * chosen()).to(images.dtype),
        contrast=torch.exp2(CONTRAST_STD * normal() * chosen()).to(images.dtype),
        luma_flip=(flips * chosen()).to(images.dtype),
        hue=(angle * chosen()).to(images.dtype),
        saturation=torch.exp2(SATURATION_STD * normal() * chosen()).to(images.dtype),
    )


def recolor(
    images: Tensor, brightness: Tensor, contrast: Tensor, luma_flip: Tensor, hue: Tensor, saturation: Tensor
) -> Tensor:
    """Transform colors, with parameters of shape `(N, 1, 1, 1)`; appendix B.

    With the luma axis v = (1, 1, 1) / sqrt(3): add `brightness`, multiply by `contrast`, reflect in the plane normal
    to v where `luma_flip` is 1, rotate about v by the angle `hue`, and multiply the part orthogonal to v by
    `saturation`. The part of a color x along v is the mean of its channels in all three.
    """
    images = (images + brightness) * contrast
    images = images - 2 * luma_flip * images.mean(1, keepdim=True)
    if images.shape[1] == 1:
        return images
    gray = images.mean(1, keepdim=True)
    cross_product = (images.roll(1, 1) - images.roll(-1, 1)) / math.sqrt(3)  # v x images
    rotated = gray + (images - gray) * hue.cos() + cross_product * hue.sin()
    return gray + (rotated - gray) * saturation


def cut_out(images: Tensor, p: Tensor) -> Tensor:
    """Set a square with half the side to 0 with probability p, centered anywhere in the image."""
    chosen = torch.rand(len(images), 1, 1, 1, device=p.device) < p
    rows, columns = (
        ((torch.arange(side, device=images.device) + 0.5) / side - center).abs() < CUTOUT_SIZE / 2
        for side, center in zip(images.shape[2:], torch.rand(2, len(images), 1, device=p.device), strict=True)
    )
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :] & chosen)


# products of positions, written without matmul, which TF32 would round to 10 bits


def times(first: Tensor, second: Tensor) -> Tensor:
    """Return the matrix product of `(N, 2, 2)` and `(N, 2, 2)`."""
    return (first[..., :, :, None] * second[..., None, :, :]).sum(-2)


def apply(linear: Tensor, vectors: Tensor) -> Tensor:
    """Return the matrix product of `(..., 2, 2)` and vectors `(..., 2)`."""
    x, y = vectors.unbind(-1)
    return torch.stack([linear[..., row, 0] * x + linear[..., row, 1] * y for row in (0, 1)], -1)


def diagonal(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y], -1))


def rotation(angle: Tensor) -> Tensor:
    sine, cosine = angle.sin(), angle.cos()
    return torch.stack([cosine, -sine, sine, cosine], -1).reshape(-1, 2, 2)
