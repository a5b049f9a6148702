"""Floating-point precision: fp32 (IEEE), tf32 (fp32 storage, products with a 10-bit mantissa), bf16 (autocast)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import torch

from ganbench.errors import UsageError

Precision = Literal["fp32", "tf32", "bf16"]

MATMUL: Any = torch.backends.cuda.matmul
CUDNN: Any = torch.backends.cudnn
MKLDNN: Any = torch.backends.mkldnn
# everything that has an attribute `fp32_precision`, with its value in a fresh process; the general ones come first
FP32_PRECISION: list[tuple[Any, str]] = [
    *((torch.backends, "none"), (MATMUL, "none")),
    *((CUDNN, "none"), (CUDNN.conv, "tf32"), (CUDNN.rnn, "tf32")),
    *((MKLDNN, "none"), (MKLDNN.matmul, "none"), (MKLDNN.conv, "none"), (MKLDNN.rnn, "none")),
]


def resolve_precision(device: torch.device, requested: Precision) -> Precision:
    """Return the precision used on the device: tf32 becomes fp32 on a CPU and on GPUs before Ampere.

    Raises `UsageError` for bf16 on a GPU that does not support it.
    """
    if device.type == "cuda" and requested == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise UsageError(f"training.precision: {name} does not support bf16; use fp32 or tf32")
    has_tf32 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "fp32" if requested == "tf32" and not has_tf32 else requested


@contextmanager
def deterministic_convolutions() -> Iterator[None]:
    """Make cuDNN use only deterministic algorithms, without benchmarking them, within the block."""
    before = CUDNN.deterministic, CUDNN.benchmark
    CUDNN.deterministic, CUDNN.benchmark = True, False
    try:
        yield
    finally:
        CUDNN.deterministic, CUDNN.benchmark = before


@contextmanager
def float32_precision(precision: Precision) -> Iterator[None]:
    """Set the precision of float32 matrix products and convolutions on CUDA within the block; a CPU uses IEEE."""
    before = MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision
    mode = "tf32" if precision == "tf32" else "ieee"
    _set_modes(mode, mode, mode)
    try:
        yield
    finally:
        _set_modes(*before)


@contextmanager
def training_precision(precision: Precision) -> Iterator[None]:
    """Within the block, torch computes as it does in training: with this precision, and deterministic convolutions."""
    with float32_precision(precision), deterministic_convolutions():
        yield


@contextmanager
def default_float32_precision() -> Iterator[None]:
    """Within the block, every flag for the precision of float32 has the value that it has in a fresh process.

    They are restored afterwards, whether they were set by torch's old flags or by the new ones.
    """
    before = _old_flags(), [flag.fp32_precision for flag, _ in FP32_PRECISION]
    _set_flags({"matmul": "highest", "cudnn": True}, [default for _, default in FP32_PRECISION])
    try:
        yield
    finally:
        _set_flags(*before)


def _old_flags() -> dict[str, Any]:
    """Return the old flags, without those that torch refuses to read because the new ones contradict them."""
    readers: dict[str, Callable[[], Any]] = {
        "matmul": torch.get_float32_matmul_precision,
        "cudnn": lambda: CUDNN.allow_tf32,
    }
    flags = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `_set_modes`
        for name, read in readers.items():
            with suppress(RuntimeError):
                flags[name] = read()
    return flags


def _set_flags(old: dict[str, Any], new: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "matmul" in old:
            torch.set_float32_matmul_precision(old["matmul"])
        if "cudnn" in old:
            CUDNN.allow_tf32 = old["cudnn"]
    for (flag, _), value in zip(FP32_PRECISION, new, strict=True):
        if flag.fp32_precision != value:
            flag.fp32_precision = value


def _set_modes(matmul: str, conv: str, rnn: str) -> None:
    """Set torch's precision flags. The old flags are kept consistent, else torch raises when a plugin reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of torch warn that these flags are deprecated
        MATMUL.allow_tf32 = matmul == "tf32"
        CUDNN.allow_tf32 = conv == "tf32"
    MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision = matmul, conv, rnn


@contextmanager
def autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    """Within the block, compute in bf16 where torch's autocast does so, if that is the precision.

    Autocast keeps the weights that it has cast until its outermost block ends, and this block may be within another,
    such as one around the whole run. They are dropped here; otherwise, every step would use the first step's weights.
    """
    torch.clear_autocast_cache()
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        torch.clear_autocast_cache()


@contextmanager
def without_autocast(device: torch.device) -> Iterator[None]:
    """Disable autocast without an autocast block, so that blocks inside still drop their weights when they end."""
    before = torch.is_autocast_enabled(device.type)
    torch.set_autocast_enabled(device.type, False)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device.type, before)
