"""Decodes one image file to uint8 `(channels, size, size)`.

`ganbench.decode_image` converts it to gray or RGB. Then the largest centered square is resized to `size` with PIL's
Lanczos filter, which antialiases when it reduces.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganbench import decode_image


class DecodedFile(NamedTuple):
    pixels: np.ndarray
    enlarged: bool  # because the image has fewer pixels
    further_pages: bool


def decode(content: bytes, size: int, channels: int) -> DecodedFile:
    """Return the image in a file's content. Raises `InvalidImageError` for content that is not a valid image."""
    image = decode_image(content, "L" if channels == 1 else "RGB")
    return DecodedFile(square(image, size, channels), min(image.size) < size, has_further_pages(content))


def has_further_pages(content: bytes) -> bool:
    """Return whether the content of a valid image file is a TIFF file with more pages than the one that is used."""
    if content[:2] not in (b"II", b"MM"):
        return False
    with Image.open(io.BytesIO(content)) as image:
        try:
            return getattr(image, "n_frames", 1) > 1
        except Exception:  # PIL's decoders raise many types for a corrupt page, which is not the first one
            return True


def square(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Resize the largest centered square, and return it as `(channels, size, size)`."""
    side = min(image.size)
    # whole pixels: a square of `size` is only cropped, not resampled at half a pixel
    left, top = (image.width - side) // 2, (image.height - side) // 2
    resized = image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    return np.asarray(resized).reshape(size, size, channels).transpose(2, 0, 1)
