"""Reads a folder of image files, at any depth, into one memory-mapped array; nothing is resized or cropped."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from ganbench.data.image_files import (
    SIGNATURE_BYTES,
    InvalidImageError,
    decode_image,
    find_files,
    map_files,
    why_unknown_format,
    why_unreadable,
)
from ganbench.errors import DataError, UsageError

LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF", "HEIF", "GIF")  # PIL's names of formats that may lose information
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")
ROTATED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
SHOWN = 5  # files named in an error


Size = tuple[int, int]  # height, width


class Header(NamedTuple):
    format: str
    gray: bool
    size: Size | None  # of the decoded image; None if only decoding shows it


def read_folder(
    folder: Path, count: int | None, size: Size | None = None
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """Return the images of the first `count` files by path, uint8 `(N, C, H, W)`, the protocol, and warnings.

    They are gray if all files are. Raises `UsageError` for a folder without images, files that are not images, images
    of several sizes, and of another than the required `size`, if one is given.
    """
    found = find_files(folder)
    files, invalid = found.files[:count], dict(found.invalid)
    if not files and not invalid:
        raise UsageError(f"{folder}: contains no files; give a folder with images, at any depth")
    headers: list[Header] = []
    sizes: dict[Size, list[Path]] = {}
    for path, header in map_files(read_header, files):
        if isinstance(header, str):
            invalid[path] = header
        else:
            headers.append(header)
            if header.size is not None:
                sizes.setdefault(header.size, []).append(path)
    if not headers:
        what = "its only file is not" if len(invalid) == 1 else f"none of its {len(invalid):,} files is"
        raise UsageError(f"{folder}: {what} an image: {listed(invalid, folder)}")
    refuse_invalid(folder, invalid)
    if sizes:  # before all files are decoded
        found_size = only_size(folder, sizes)
        if size is not None:
            require_size(folder, found_size, size)
    mode: Literal["L", "RGB"] = "L" if all(header.gray for header in headers) else "RGB"
    images = decode_all(folder, files, mode)
    formats = Counter(header.format for header in headers)
    lossy = [name for name in formats if name in LOSSY]
    protocol = {"quantization": "uint8, as given", "compression": "none or lossless"}
    warnings = []
    if lossy:
        protocol["compression"] = f"{', '.join(sorted(formats))}, which may lose information"
        number = sum(formats[name] for name in lossy)
        warnings.append(
            f"{folder}: {number:,} of {len(files):,} files are {' or '.join(sorted(lossy))}, whose compression changes "
            "scores; compare only with images in the same format, or save PNG files"
        )
    folders = [len({path.parent for path in chosen}) for chosen in (files, found.files)]
    if folders[0] < folders[1]:
        warnings.append(
            f"{folder}: the first {len(files):,} of {len(found.files):,} images by path are from {folders[0]:,} of "
            f"{folders[1]:,} folders; if these are classes, give a folder with the same number of images, taken from "
            "all classes"
        )
    if mode == "RGB" and (gray := sum(header.gray for header in headers)):
        warnings.append(f"{folder}: {gray:,} of {len(files):,} images are gray, and the others are in color")
    return images, protocol, warnings


def read_header(path: Path) -> Header | str:
    """Return the header of an image file, or the reason why it is not an image."""
    start = b""
    try:
        with path.open("rb") as file:
            start = file.read(SIGNATURE_BYTES)
            file.seek(0)
            with Image.open(file) as image:
                return Header(image.format or "unknown", image.mode in GRAY_MODES, decoded_size(image))
    except OSError as error:
        return why_unreadable(error) if error.errno else why_unknown_format(start)
    except Exception as error:  # PIL raises many types for corrupt files
        return f"corrupt or too large ({' '.join(str(error).split())})"


def decoded_size(image: Image.Image) -> Size | None:
    """Return the size that an image which is not decoded yet will have; None if only decoding shows it."""
    width, height = image.size
    if width == height:
        return height, width
    # versions of PIL differ in whether the size of a TIFF file is that after its rotation; a PNG file may have its EXIF
    # orientation after its pixels
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return None
    return (width, height) if image.getexif().get(ExifTags.Base.Orientation) in ROTATED else (height, width)


def decode_all(folder: Path, files: list[Path], mode: Literal["L", "RGB"]) -> np.ndarray:
    """Decode files into a memory-mapped array `(N, C, H, W)`.

    Raises `UsageError` unless all have the same size, and `DataError` if there is no space for the array.
    """
    invalid: dict[Path, str] = {}
    sizes: dict[Size, list[Path]] = {}

    def decode(path: Path) -> np.ndarray | str:
        try:
            return np.asarray(decode_image(path.read_bytes(), mode))
        except OSError as error:
            return why_unreadable(error)
        except InvalidImageError as error:
            return str(error)

    # on POSIX, an unlinked file stays readable through the memory map
    with tempfile.TemporaryDirectory(prefix="ganbench-samples-", ignore_cleanup_errors=True) as temporary:
        target = Path(temporary) / "images"
        try:
            with target.open("wb") as file:
                for path, image in map_files(decode, files):
                    if isinstance(image, str):
                        invalid[path] = image
                        continue
                    sizes.setdefault((image.shape[0], image.shape[1]), []).append(path)
                    if len(sizes) == 1:
                        file.write(image.reshape(*image.shape[:2], -1).transpose(2, 0, 1).tobytes())
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the decoded images to {temporary}: {error.strerror or error}; free space "
                "there, or set TMPDIR to another folder"
            ) from error
        refuse_invalid(folder, invalid)
        height, width = only_size(folder, sizes)
        return np.memmap(target, np.uint8, "c", shape=(len(files), 1 if mode == "L" else 3, height, width))


def only_size(folder: Path, sizes: dict[Size, list[Path]]) -> Size:
    """Return the size of all images. Raises `UsageError` if there are several."""
    if len(sizes) > 1:
        shown = "; ".join(
            f"{len(paths):,} of {height}x{width} such as {printable(paths[0], folder)}"
            for (height, width), paths in sorted(sizes.items(), key=lambda item: -len(item[1]))[:SHOWN]
        )
        raise UsageError(
            f"{folder}: images of {len(sizes):,} sizes (height x width): {shown}. Resize them to one "
            "size yourself: nothing is resized here, because the resize method changes scores"
        )
    (size,) = sizes
    return size


def require_size(path: Path, found: Size, expected: Size) -> None:
    """Raise `UsageError` for images of another size than those to compare with."""
    if found != expected:
        raise UsageError(
            f"{path}: its images have {found[0]}x{found[1]} pixels (height x width), but those to compare with have "
            f"{expected[0]}x{expected[1]}. Resize one side yourself: nothing is resized here, because the resize "
            "method changes scores"
        )


def refuse_invalid(folder: Path, invalid: dict[Path, str]) -> None:
    if invalid:
        raise UsageError(
            f"{folder}: {len(invalid):,} of its files cannot be used as images: {listed(invalid, folder)}. Remove or "
            "repair them; names that begin with a dot are ignored"
        )


def listed(invalid: dict[Path, str], folder: Path) -> str:
    names = [f"{printable(path, folder)} ({why})" for path, why in sorted(invalid.items())]
    more = f"; and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more


def printable(path: Path, folder: Path) -> str:
    """Return the name of a file in a folder, with escapes for line breaks and for bytes that are not UTF-8."""
    return repr(str(path.relative_to(folder)))[1:-1]
