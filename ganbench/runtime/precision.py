"""Number formats for arithmetic: fp32 (IEEE), tf32 (fp32 storage, 10-bit mantissa products), bf16 (autocast)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch

from ganbench.errors import UsageError

Precision = Literal["fp32", "tf32", "bf16"]

MATMUL: Any = torch.backends.cuda.matmul
CUDNN: Any = torch.backends.cudnn


def resolve_precision(device: torch.device, asked: Precision) -> Precision:
    """What the device makes of a precision: tf32 is fp32 on a CPU and on GPUs that have none (before Ampere).

    Raises `UsageError` for bf16 on a GPU that lacks it.
    """
    if device.type == "cuda" and asked == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise UsageError(f"training.precision: {name} computes no bf16; use fp32 or tf32")
    has_tf32 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "fp32" if asked == "tf32" and not has_tf32 else asked


@contextmanager
def deterministic_convolutions() -> Iterator[None]:
    """Within the block, cuDNN takes only algorithms that give the same bits each time, and tries none out."""
    before = CUDNN.deterministic, CUDNN.benchmark
    CUDNN.deterministic, CUDNN.benchmark = True, False
    try:
        yield
    finally:
        CUDNN.deterministic, CUDNN.benchmark = before


@contextmanager
def float32_precision(precision: Precision) -> Iterator[None]:
    """Within the block, CUDA multiplies float32 matrices and convolutions as `precision` says; a CPU always in IEEE."""
    before = MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision
    mode = "tf32" if precision == "tf32" else "ieee"
    _set_modes(mode, mode, mode)
    try:
        yield
    finally:
        _set_modes(*before)


def _set_modes(matmul: str, conv: str, rnn: str) -> None:
    """Set torch's switches, the older ones first and alike: else torch refuses to read those, as plugins may."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of torch tell everyone that these are the older ones
        MATMUL.allow_tf32 = matmul == "tf32"
        CUDNN.allow_tf32 = conv == "tf32"
    MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision = matmul, conv, rnn


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Bf16 autocast for bf16, nothing for the others."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
