"""Decodes one image file to uint8 `(channels, size, size)`.

In this order:
- Only the first frame of an animation is used.
- An EXIF orientation is applied.
- 16-bit gray values v become round(v / 257). PIL itself reduces 16-bit RGB to the high bytes.
- Transparent images (LA, RGBA, or a transparent color) are composited over white.
- Palette, CMYK, YCbCr and black-and-white images are converted to RGB or gray, without color management.
- The largest centered square is resized to `size` with PIL's Lanczos filter, which antialiases when it reduces.
- RGB becomes gray by PIL's luma (ITU-R 601-2); gray becomes RGB with three equal channels.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MIN_SIDE = 2  # pixels; an image of one pixel is a placeholder, not data


class InvalidImageError(Exception):
    """The file is not a valid image; the message is the reason."""


def decode(content: bytes, size: int, channels: int) -> np.ndarray:
    """Return the image in a file's content.

    Raises `InvalidImageError` for content that is not an image, truncated, corrupt, too small or too large.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened)
        return square(to_mode(image, channels), size, channels)
    except (InvalidImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InvalidImageError("not an image of a known format") from None
    except Exception as error:  # PIL's decoders raise many types for corrupt files
        raise InvalidImageError(f"truncated, corrupt or too large ({' '.join(str(error).split())})") from None


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Convert to gray or RGB, 8 bits."""
    if min(image.size) < MIN_SIDE:
        raise InvalidImageError(f"only {image.width}x{image.height} pixels")
    if image.mode == "F":
        raise InvalidImageError("floating-point pixels, whose range is unknown")
    if image.mode.startswith("I"):
        image = from_16_bits(image)
    elif image.has_transparency_data:
        colors = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colors)
    mode = "L" if channels == 1 else "RGB"
    if image.mode == mode:
        return image
    # to RGB first: PIL converts some modes to gray in another way than their colors
    return image.convert("RGB").convert(mode)


def from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InvalidImageError(f"integer pixels from {values.min()} to {values.max()}, not of 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def square(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Resize the largest centered square, and return it as `(channels, size, size)`."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    resized = image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    return np.asarray(resized).reshape(size, size, channels).transpose(2, 0, 1)
