"""Number formats for arithmetic: fp32 (IEEE), tf32 (fp32 storage, 10-bit mantissa products on CUDA), bf16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch

Precision = Literal["fp32", "tf32", "bf16"]


@contextmanager
def float32_products(precision: Precision) -> Iterator[None]:
    """Within the block, CUDA multiplies float32 matrices and convolutions as `precision` says; a CPU always in IEEE."""
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Bf16 autocast for bf16, nothing for the others."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
