"""Pictures within HTML, as data: so a notebook that is moved or sent keeps them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from .plots import draw_grid

MAX_PNG_BYTES = 100_000  # a larger picture becomes a JPEG
MAX_JPEG_SIDE = 640  # pixels


def grid_html(images: np.ndarray) -> str:
    """Return a grid of images, uint8 `(N, C, H, W)`, as HTML; a line of text if they cannot be shown."""
    count, channels, height, width = images.shape
    if channels not in (1, 3) or not count:
        return f"<div>{count} images with {channels} channels of {height} x {width} pixels, which cannot be shown</div>"
    return picture_html(draw_grid(images, columns=8))


def file_html(path: Path) -> str:
    """Return a picture in a file as HTML."""
    with Image.open(path) as picture:
        return picture_html(picture)


def picture_html(picture: Image.Image) -> str:
    """Return an `img` element that contains the picture, reduced if it is large."""
    content, kind = io.BytesIO(), "png"
    picture.save(content, "PNG", optimize=True)
    if content.tell() > MAX_PNG_BYTES:
        content, kind = io.BytesIO(), "jpeg"
        reduced = picture.copy()
        reduced.thumbnail((MAX_JPEG_SIDE, MAX_JPEG_SIDE))
        reduced.save(content, "JPEG", quality=85)
    return f'<img src="data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}">'
