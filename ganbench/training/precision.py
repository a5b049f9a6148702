"""Number formats for arithmetic: fp32 (IEEE), tf32 (fp32 storage, 10-bit mantissa products on CUDA), bf16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch

Precision = Literal["fp32", "tf32", "bf16"]

MATMUL: Any = torch.backends.cuda.matmul
CUDNN: Any = torch.backends.cudnn


@contextmanager
def float32_products(precision: Precision) -> Iterator[None]:
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
    MATMUL.allow_tf32 = matmul == "tf32"
    CUDNN.allow_tf32 = conv == "tf32"
    MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision = matmul, conv, rnn


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Bf16 autocast for bf16, nothing for the others."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
