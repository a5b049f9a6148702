"""Image files: finds them in a folder and decodes them, by the same rules for datasets and for generated images.

Decoding, in this order:
- Only the first frame of an animation, or page of a TIFF file, is used. A page that is a preview is invalid.
- An EXIF orientation is applied.
- 16-bit gray values v become round(v / 257). PIL itself reduces 16-bit RGB to the high bytes. Floats and 32-bit
  integers are invalid, because their range is unknown. In a TIFF file, 0 may be white.
- Transparent images (LA, RGBA, or a transparent color) are composited over white.
- Palette, CMYK, YCbCr and black-and-white images are converted to RGB or gray, without color management.
- RGB becomes gray by PIL's luma (ITU-R 601-2); gray becomes RGB with three equal channels.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

MIN_SIDE = 2  # pixels; an image of one pixel is a placeholder, not data
LOOP = "symbolic link to a folder that contains it"
CHUNK = 256  # files of which the values are in memory at a time
PART = 32  # files of a chunk that a thread takes at a time
MIN_THREADED = 4096  # mean size of files in bytes; with smaller ones, threads mostly wait for Python's lock
SIGNATURE_BYTES = 12  # at the start of a file, which tell its format
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
NEW_SUBFILE_TYPE = 254  # a tag of TIFF
PREVIEW = 1  # a bit of it
WHITE_IS_ZERO = 0  # a value of TIFF's PhotometricInterpretation
Value = TypeVar("Value")


class InvalidImageError(Exception):
    """The file is not a valid image; the message is the reason."""


@dataclass
class FoundFiles:
    """The files below a folder, in an order that depends only on their paths."""

    files: list[Path] = field(default_factory=list)  # regular and not empty
    subfolders: list[str] = field(default_factory=list)  # names of the folders directly in it
    invalid: dict[Path, str] = field(default_factory=dict)  # the reason for each path that cannot be read


def find_files(folder: Path) -> FoundFiles:
    """Find all files below a folder, following symbolic links but not loops. Ignores names that begin with a dot."""
    found = FoundFiles()
    names = visible_names(folder, found.invalid)
    found.files = list(valid_files(walk(folder, found.invalid, {identity(folder)}), found.invalid))
    found.subfolders = [name for name in names if is_folder(folder / name) and found.invalid.get(folder / name) != LOOP]
    return found


def visible_names(folder: Path, invalid: dict[Path, str]) -> list[str]:
    """Return the sorted names in a folder that do not begin with a dot."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        invalid[folder] = why_unreadable(error)
        return []


def walk(folder: Path, invalid: dict[Path, str], ancestors: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files below a folder."""
    for name in visible_names(folder, invalid):
        path = folder / name
        if not is_folder(path):
            yield path
        elif identity(path) in ancestors:
            invalid[path] = LOOP
        else:
            yield from walk(path, invalid, ancestors | {identity(path)})


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its folder must not be searched
        return False


def identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def valid_files(paths: Iterator[Path], invalid: dict[Path, str]) -> Iterator[Path]:
    """Yield the regular, nonempty files; opening others, such as named pipes, might wait forever."""
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            invalid[path] = why_unreadable(error)
            continue
        if not stat.S_ISREG(status.st_mode):
            invalid[path] = "not a regular file"
        elif status.st_size == 0:
            invalid[path] = "0 bytes"
        else:
            yield path


def why_unreadable(error: OSError) -> str:
    """Return why a file or folder cannot be read, in a few words."""
    if error.errno == errno.ELOOP:
        return "loop of symbolic links"
    if error.errno == errno.ENOENT:
        is_link = error.filename is not None and Path(error.filename).is_symlink()
        return "broken symbolic link" if is_link else "deleted while the folder was read"
    return f"unreadable: {error.strerror or error}"


def map_files(function: Callable[[Path], Value], paths: Sequence[Path]) -> Iterator[tuple[Path, Value]]:
    """Yield each path with the function's value, in order; in several threads if the files are large enough."""
    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        for chunk in split(paths, CHUNK):
            values: Iterable[Value] = map(function, chunk)
            if sum(map(size_of, chunk)) >= MIN_THREADED * len(chunk):
                values = chain.from_iterable(
                    pool.map(lambda part: [function(path) for path in part], split(chunk, PART))
                )
            yield from zip(chunk, values, strict=True)


def split(paths: Sequence[Path], size: int) -> list[Sequence[Path]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it is unreadable."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def decode_image(content: bytes, mode: Literal["L", "RGB"]) -> Image.Image:
    """Return the image in a file's content, as 8-bit gray (`L`) or RGB.

    Raises `InvalidImageError` for content that is not an image, truncated, corrupt, too small or too large.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            if opened.mode == "F":
                raise InvalidImageError("floating-point pixels, whose range is unknown")
            if (opened.format, opened.mode) == ("TIFF", "I"):  # in other formats, PIL scales to 16 bits
                raise InvalidImageError("32-bit integer pixels, whose range is unknown")
            if tiff_tag(opened, NEW_SUBFILE_TYPE, 0) & PREVIEW:
                raise InvalidImageError("only the preview in a raw photo can be read; convert it to PNG or JPEG")
            # PIL itself inverts the values of up to 8 bits
            inverted = opened.mode.startswith("I") and tiff_tag(opened, PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
            image = ImageOps.exif_transpose(opened)
        return to_mode(image, mode, inverted)
    except (InvalidImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InvalidImageError(why_unknown_format(content)) from None
    except Exception as error:  # PIL's decoders raise many types for corrupt files
        raise InvalidImageError(f"truncated, corrupt or too large ({' '.join(str(error).split())})") from None


def tiff_tag(image: Image.Image, tag: int, default: int | None = None) -> Any:
    """Return the value of a tag of a TIFF file; the default for an image of another format."""
    return image.tag_v2.get(tag, default) if isinstance(image, TiffImageFile) else default


def why_unknown_format(start: bytes) -> str:
    """Return why PIL cannot read a file, given at least its first `SIGNATURE_BYTES`."""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        settings = "for new photos of an iPhone: Settings, Camera, Formats, Most Compatible"
        return f"HEIC or AVIF, which Pillow cannot read; convert it to JPEG or PNG ({settings})"
    return "not an image of a known format"


def to_mode(image: Image.Image, mode: str, inverted: bool) -> Image.Image:
    if min(image.size) < MIN_SIDE:
        raise InvalidImageError(f"only {image.width}x{image.height} pixels")
    if image.mode.startswith("I"):
        image = from_16_bits(image, inverted)
    elif image.has_transparency_data:
        colors = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colors)
    if image.mode == mode:
        return image
    # to RGB first: PIL converts some modes to gray in another way than their colors
    return image.convert("RGB").convert(mode)


def from_16_bits(image: Image.Image, inverted: bool) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InvalidImageError(f"integer pixels from {values.min()} to {values.max()}, not of 16 bits")
    if inverted:
        values = 65535 - values
    if (transparent := image.info.get("transparency")) is not None:  # PIL converts such images without it
        values[values == transparent] = 65535
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
