"""Reads images from a NumPy file: finds the array, the order of its axes and the range of its values."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ganbench.data.batches import to_uint8
from ganbench.errors import UsageError

Layout = Literal["NHWC", "NCHW"]
CHUNK = 1000  # images converted at a time
ROUNDING = 0.5 / 255  # half a gray level of floats in [0, 1]: values so far outside of a range are rounded back into it
OVERSHOOT = 0.5  # resizing floats in [0, 1] can give negative values up to this, relative to the highest value
NARROW = 0.75  # floats in [-1, 1] whose largest absolute value is below this were probably shifted
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
CHOICE = "choose one of the images to score with --array NAME; of those to compare with, save one to a file of its own"


def read_array(
    path: Path, shape: tuple[int, int, int] | None, count: int | None, name: str | None, layout: Layout | None
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """Return the images, uint8 `(N, C, H, W)`, the protocol, and warnings. Raises `UsageError`."""
    return convert_array(path, load_array(path, name), shape, count, layout)


def convert_array(
    path: Path, array: np.ndarray, shape: tuple[int, int, int] | None, count: int | None, layout: Layout | None
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """Like `read_array`, for an array in memory; `path` is its name in messages."""
    if array.ndim == 3:  # gray
        array = array[:, None]
    elif array.ndim == 4:
        if find_layout(path, array.shape, shape, layout) == "NHWC":
            array = array.transpose(0, 3, 1, 2)
    else:
        raise UsageError(
            f"{path}: the array has the shape {array.shape}; expected (N, height, width, channels), (N, channels, "
            "height, width), or (N, height, width) for gray images"
        )
    if 0 in array.shape:
        raise UsageError(f"{path}: the array of shape {array.shape} contains no images")
    images, quantization, warnings = quantize(path, array[:count])
    return images, {"quantization": quantization, "compression": "none or lossless"}, warnings


def load_array(path: Path, name: str | None) -> np.ndarray:
    """Return the array called `name`, or else the only one with three or four dimensions."""
    try:
        loaded = np.load(path, mmap_mode="c", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if name is not None:
                raise UsageError(f"--array {name}: {path} has only one array, without a name")
            return loaded
        with loaded as archive:
            arrays = {key: numbers(archive, key) for key in archive.files}
    except UNREADABLE as error:
        reason = one_line(error)
        raise UsageError(f"{path}: not a NumPy file of numbers, or truncated: {reason}") from None
    found = ", ".join(f"'{key}' {describe_entry(array)}" for key, array in arrays.items()) or "none"
    if name is not None:
        chosen = arrays.get(name)
        if not isinstance(chosen, np.ndarray):
            problem = "array '{}' has no numbers" if name in arrays else "no array '{}'"
            raise UsageError(f"{path}: {problem.format(name)}; found: {found}")
        return chosen
    candidates = [array for array in arrays.values() if isinstance(array, np.ndarray) and array.ndim in (3, 4)]
    if len(candidates) != 1:
        number = "no" if not candidates else f"{len(candidates)}"
        hint = f"; {CHOICE}" if candidates else ""
        raise UsageError(f"{path}: {number} arrays with the dimensions of images; found: {found}{hint}")
    return candidates[0]


def numbers(archive: Any, key: str) -> np.ndarray | str:
    """Return an array of an archive, or why it is not one of numbers, such as names or settings next to the images."""
    try:
        array = archive[key]
    except ValueError as error:  # Python objects, which are not unpickled
        return one_line(error)
    return array if isinstance(array, np.ndarray) else "no array"  # other files are returned as bytes


def describe_entry(array: np.ndarray | str) -> str:
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"({array})"


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def find_layout(
    path: Path, found: tuple[int, ...], shape: tuple[int, int, int] | None, layout: Layout | None
) -> Layout:
    """Return the order of the axes, from the required shape of an image, or from the channels if there is none.

    It is `layout` if the array fits both orders, or has other numbers of channels.
    """
    if shape is not None:
        sizes = {"NHWC": (*shape[1:], shape[0]), "NCHW": shape}
        fits: list[Layout] = [each for each in ("NCHW", "NHWC") if found[1:] == sizes[each]]
        if not fits:  # gray where color is required, or the reverse
            fits = [each for each in ("NCHW", "NHWC") if has_size(found, each, shape[1:])]
    else:
        fits = [each for each in ("NCHW", "NHWC") if found[1 if each == "NCHW" else 3] in (1, 3)]
    if len(fits) == 1:
        return fits[0]
    if layout is not None and (fits or shape is None):
        return layout
    if fits:
        raise UsageError(
            f"{path}: the shape {found} fits (N, channels, height, width) and (N, height, width, channels); choose "
            "with --layout NCHW or --layout NHWC"
        )
    raise UsageError(f"{path}: the array has the shape {found}, {expected(found, shape)}")


def has_size(found: tuple[int, ...], layout: str, size: tuple[int, ...]) -> bool:
    channels, own = (found[1], found[2:]) if layout == "NCHW" else (found[3], found[1:3])
    return own == size and channels in (1, 3)


def expected(found: tuple[int, ...], shape: tuple[int, int, int] | None) -> str:
    """Describe the expected shape, and the transposition that gives it, if there is one."""
    if shape is None:
        return (
            "and neither its second nor its last axis has 1 or 3 channels; choose with --layout NCHW or --layout NHWC"
        )
    channels, height, width = shape
    wanted = f"but expected (N, {height}, {width}, {channels}) or (N, {channels}, {height}, {width})"
    axes = next((order for order in permutations(range(4)) if tuple(found[axis] for axis in order[1:]) == shape), None)
    if axes is None:
        return f"{wanted}; resize or convert the images of one side"
    return f"{wanted}: its axes are in another order; save array.transpose{axes}"


def quantize(path: Path, array: np.ndarray) -> tuple[np.ndarray, str, list[str]]:
    """Return the images as uint8, how they were quantized, and warnings: floats in [0, 1] or [-1, 1] are rounded."""
    if array.dtype == np.uint8:
        # contiguous and writeable, as torch requires
        return np.require(np.asarray(array), requirements=("C", "W")), "uint8, as given", []
    if array.dtype.kind != "f":
        truth = array.dtype.kind == "b"
        hint = "Save 255 * array.astype('uint8')" if truth else "If its values are 0 to 255, save array.astype('uint8')"
        raise UsageError(
            f"{path}: the array has dtype {array.dtype}; expected uint8, or floats in [0, 1] or [-1, 1]. {hint}"
        )
    low, high = extremes(path, array)
    signed = is_signed(path, low, high)
    images = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), CHUNK):
        part = torch.from_numpy(np.array(array[start : start + CHUNK], np.float32))
        images[start : start + CHUNK] = to_uint8(part if signed else part.mul_(2).sub_(1)).numpy()
    warnings = []
    if signed and max(-low, high) < NARROW:
        warnings.append(
            f"{path}: the values range from {low:g} to {high:g}, so nothing is black or white in [-1, 1]; if they were "
            "shifted, undo that"
        )
    return images, "uint8, rounded" if signed else "uint8, rounded from [0, 1]", warnings


def is_signed(path: Path, low: float, high: float) -> bool:
    """Return whether floats are in [-1, 1], and not in [0, 1]. Raises `UsageError` if that is not clear."""
    found = f"{path}: the values range from {low:g} to {high:g}"
    if low < -1 - ROUNDING or high > 1 + ROUNDING:
        if max(-low, high) < 1 + OVERSHOOT:
            hint = "clip it"
        else:
            hint = "round and save it as uint8" if low >= 0 and high <= 255 else "scale it"
        raise UsageError(f"{found}; expected floats in [0, 1] or [-1, 1], or uint8; {hint}")
    if low < -ROUNDING and -low < OVERSHOOT * high:
        raise UsageError(
            f"{found}, so they may be in [-1, 1], or in [0, 1] with some below it, as after resizing. If black is 0, "
            "save array.clip(0, 1); if it is -1, save ((array + 1) * 127.5).round().astype('uint8')"
        )
    return low < -ROUNDING


def extremes(path: Path, array: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest value. Raises `UsageError` if a value is NaN or infinite."""
    low, high, invalid = np.inf, -np.inf, 0
    for start in range(0, len(array), CHUNK):
        part = np.asarray(array[start : start + CHUNK])
        finite = np.isfinite(part)
        invalid += part.size - int(finite.sum())
        if finite.any():
            low, high = min(low, float(part[finite].min())), max(high, float(part[finite].max()))
    if invalid:
        raise UsageError(
            f"{path}: {invalid:,} of {array.size:,} values are NaN or infinite; a model that generates them has "
            "diverged, so there is nothing to score"
        )
    return low, high
