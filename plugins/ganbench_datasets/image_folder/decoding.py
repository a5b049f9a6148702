"""Decodes one image file to uint8 `(channels, size, size)`.

`ganbench.decode_image` converts it to gray or RGB. Then the largest centered square is resized to `size` with PIL's
Lanczos filter, which antialiases when it reduces.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ganbench import decode_image


def decode(content: bytes, size: int, channels: int) -> np.ndarray:
    """Return the image in a file's content. Raises `InvalidImageError` for content that is not a valid image."""
    return square(decode_image(content, "L" if channels == 1 else "RGB"), size, channels)


def square(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Resize the largest centered square, and return it as `(channels, size, size)`."""
    side = min(image.size)
    # whole pixels: a square of `size` is only cropped, not resampled at half a pixel
    left, top = (image.width - side) // 2, (image.height - side) // 2
    resized = image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    return np.asarray(resized).reshape(size, size, channels).transpose(2, 0, 1)
