"""Decodes all files of a folder into one memory-mapped array, which is cached by the content of the files."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import PIL
from rich.console import Console
from rich.progress import Progress

from ganbench import (
    DataError,
    InvalidImageError,
    atomic_write,
    decode_image,
    map_files,
    read_cache,
    why_unreadable,
    write_cache,
)

from .decoding import DecodedFile, decode
from .scanning import Invalid

Value = TypeVar("Value")


@dataclass(frozen=True)
class Decoded:
    images: np.ndarray  # uint8 (N, channels, size, size), memory-mapped
    valid: list[Path]  # the file of each image
    invalid: Invalid
    sha256: str  # of the images
    enlarged: int  # images
    further_pages: int  # files with pages that are not used


def decoded_images(paths: list[Path], root: Path, size: int, channels: int, cache_dir: Path) -> Decoded:
    """Return the images of all valid files in this order, from the cache if no file has changed.

    Raises `DataError` if the cache cannot be written.
    """
    hashes: dict[Path, str] = {}
    invalid: Invalid = {}
    for path, found in with_progress("reading images", try_to_hash, paths):
        if isinstance(found, OSError):
            invalid[path] = why_unreadable(found)
        else:
            hashes[path] = found
    readable = list(hashes)
    # the size of each file is part of the content that is hashed
    files = [(path.relative_to(root).as_posix(), hashes[path]) for path in readable]
    key = json.dumps([files, size, channels, rules()])
    target = cache_dir / "image-folder" / f"{hashlib.sha256(key.encode()).hexdigest()}.npy"
    record = read_record(target)
    if record is None:
        record = decode_all(hashes, size, channels, target)
        write_cache(target.with_suffix(".json"), json.dumps(record).encode())
    invalid |= {readable[int(index)]: why for index, why in record["invalid"].items()}
    valid = [path for path in readable if path not in invalid]
    images = np.load(target, mmap_mode="c") if valid else np.empty((0, channels, size, size), np.uint8)
    return Decoded(images, valid, invalid, record["sha256"], record["enlarged"], record["further_pages"])


def rules() -> list[str]:
    """Return what identifies the rules of decoding: the version of PIL, and the code here and in ganbench."""
    files = (inspect.getfile(function) for function in (decode, decode_image))
    return [PIL.__version__, *(file_sha256(Path(file)) for file in files)]


def read_record(target: Path) -> dict[str, Any] | None:
    """Return the record of a complete, unchanged array; None if it has to be decoded."""
    content = read_cache(target.with_suffix(".json"))
    if content is None:
        return None
    record: dict[str, Any] = json.loads(content)
    try:
        unchanged = file_sha256(target) == record["sha256"]
    except OSError:
        return None
    return record if unchanged else None


def decode_all(hashes: dict[Path, str], size: int, channels: int, target: Path) -> dict[str, Any]:
    """Write the array of all files; return its hash, the invalid files by index with reasons, and the other counts.

    The images are written as a stream: writing through a memory map would end the process when the disk is full. Raises
    `DataError` for a file whose hash is another one now, because the array is cached by the hashes.
    """
    shape = (channels, size, size)
    invalid: dict[str, str] = {}
    enlarged = further_pages = 0

    def try_to_decode(path: Path) -> DecodedFile | InvalidImageError:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"image-folder: {path}: {why_unreadable(error)}, but it was readable before") from error
        if hashlib.sha256(content).hexdigest() != hashes[path]:
            raise DataError(f"image-folder: {path}: changed while it was read; try again when nothing writes to it")
        try:
            return decode(content, size, channels)
        except InvalidImageError as error:
            return error

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as part:
            with part.open("wb") as file:
                write_header(file, (len(hashes), *shape))
                for index, (_, image) in enumerate(with_progress("decoding images", try_to_decode, list(hashes))):
                    if isinstance(image, InvalidImageError):
                        invalid[str(index)] = str(image)
                        continue
                    file.write(image.pixels.tobytes())
                    enlarged += image.enlarged
                    further_pages += image.further_pages
                file.seek(0)
                write_header(file, (len(hashes) - len(invalid), *shape))
            sha256 = file_sha256(part)
    except OSError as error:
        raise DataError(
            f"image-folder: cannot write the decoded images to {target.parent}: {error.strerror or error}; free space "
            "there, or set XDG_CACHE_HOME to another folder"
        ) from error
    return {"sha256": sha256, "invalid": invalid, "enlarged": enlarged, "further_pages": further_pages}


def write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the header of a .npy file; NumPy pads it so that its length does not depend on the number of images."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def with_progress(status: str, function: Callable[[Path], Value], paths: list[Path]) -> Iterator[tuple[Path, Value]]:
    """Yield each path with its value, in order, with a progress bar on stderr if that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(map_files(function, paths), total=len(paths), description=status)


def try_to_hash(path: Path) -> str | OSError:
    try:
        return file_sha256(path)
    except OSError as error:
        return error


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
