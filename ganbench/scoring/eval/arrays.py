"""Reads images from a NumPy file: finds the array, the order of its axes and the range of its values."""

from __future__ import annotations

import zipfile
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ganbench.data.batches import to_uint8
from ganbench.errors import UsageError

Layout = Literal["NHWC", "NCHW"]
CHUNK = 1000  # images converted at a time


def read_array(
    path: Path, shape: tuple[int, int, int] | None, count: int | None, name: str | None, layout: Layout | None
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """Return the images, uint8 `(N, C, H, W)`, the protocol, and warnings. Raises `UsageError`."""
    return convert_array(path, load_array(path, name)[:count], shape, layout)


def convert_array(
    path: Path, array: np.ndarray, shape: tuple[int, int, int] | None, layout: Layout | None
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """Like `read_array`, for an array in memory; `path` is its name in messages."""
    if array.ndim == 3:  # gray
        array = array[:, None]
    elif array.ndim == 4:
        if (layout or find_layout(path, array.shape, shape)) == "NHWC":
            array = array.transpose(0, 3, 1, 2)
    else:
        raise UsageError(
            f"{path}: the array has the shape {array.shape}; expected (N, height, width, channels), (N, channels, "
            "height, width), or (N, height, width) for gray images"
        )
    if 0 in array.shape:
        raise UsageError(f"{path}: the array of shape {array.shape} contains no images")
    images, quantization = quantize(path, array)
    return images, {"quantization": quantization, "compression": "none or lossless"}, []


def load_array(path: Path, name: str | None) -> np.ndarray:
    """Return the array called `name`, or else the only one with three or four dimensions."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="c", allow_pickle=False)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path}: not a NumPy file of numbers, or truncated: {reason}") from None
    found = ", ".join(f"'{key}' {array.dtype} {array.shape}" for key, array in arrays.items()) or "none"
    if name is not None:
        if name not in arrays:
            raise UsageError(f"{path}: no array '{name}'; found: {found}")
        return arrays[name]
    candidates = [array for array in arrays.values() if array.ndim in (3, 4)]
    if len(candidates) != 1:
        number = "no" if not candidates else f"{len(candidates)}"
        hint = "; choose one with --array NAME" if candidates else ""
        raise UsageError(f"{path}: {number} arrays with the dimensions of images; found: {found}{hint}")
    return candidates[0]


def find_layout(path: Path, found: tuple[int, ...], shape: tuple[int, int, int] | None) -> Layout:
    """Return the order of the axes, from the required shape of an image, or from the channels if there is none."""
    if shape is not None:
        sizes = {"NHWC": (*shape[1:], shape[0]), "NCHW": shape}
        fits: list[Layout] = [each for each in ("NCHW", "NHWC") if found[1:] == sizes[each]]
        if not fits:  # gray where color is required, or the reverse
            fits = [each for each in ("NCHW", "NHWC") if has_size(found, each, shape[1:])]
    else:
        fits = [each for each in ("NCHW", "NHWC") if found[1 if each == "NCHW" else 3] in (1, 3)]
    if len(fits) == 1:
        return fits[0]
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


def quantize(path: Path, array: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the images as uint8, and how they were quantized: floats in [0, 1] or [-1, 1] are rounded."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array), "uint8, as given"
    if array.dtype.kind != "f":
        raise UsageError(
            f"{path}: the array has dtype {array.dtype}; expected uint8, or floats in [0, 1] or [-1, 1]. If its values "
            "are 0 to 255, save array.astype('uint8')"
        )
    low, high = extremes(path, array)
    if low < -1 or high > 1:
        hint = "round and save it as uint8" if low >= 0 and high <= 255 else "scale it"
        raise UsageError(
            f"{path}: the values range from {low:g} to {high:g}; expected floats in [0, 1] or [-1, 1], or uint8; {hint}"
        )
    images = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), CHUNK):
        part = torch.from_numpy(np.array(array[start : start + CHUNK], np.float32))
        images[start : start + CHUNK] = to_uint8(part if low < 0 else part.mul_(2).sub_(1)).numpy()
    return images, "uint8, rounded" if low < 0 else "uint8, rounded from [0, 1]"


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
