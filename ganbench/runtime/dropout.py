"""Fast dropout on CPUs.

On a CPU, torch draws one random number for each element of a dropout mask, on one thread: 15% of a training step of the
homework's DCGAN. Here, each 64-bit random number yields four 16-bit numbers, which are compared with a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

TORCH_DROPOUT = functional.dropout
LEVELS = 2**16
MIN_ELEMENTS = 4096  # torch is as fast below about 2,000 elements


@contextmanager
def fast_dropout() -> Iterator[None]:
    """Within the block, `torch.nn.functional.dropout`, and so `nn.Dropout`, is faster for large inputs on a CPU.

    The probability of dropping an element is `p` rounded to a multiple of 2^-16. Other elements are scaled by the
    inverse of the exact probability of keeping them, so the expectation is exact. The random numbers come from torch's
    default generator. Dropout of channels and alpha dropout are unchanged. The function itself is replaced, so that
    forward passes that are recomputed in a backward pass (`torch.utils.checkpoint`) use the same mask.
    """
    functional.dropout = _dropout
    try:
        yield
    finally:
        functional.dropout = TORCH_DROPOUT


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: A002
    """Return what `torch.nn.functional.dropout` returns for these arguments, except for the random numbers."""
    threshold = round(p * LEVELS) if 0 <= p <= 1 else 0
    if not training or not 0 < threshold < LEVELS or not _is_fast_for(input):
        return TORCH_DROPOUT(input, p, training, inplace)
    mask, scale = _draw_mask(input, threshold), LEVELS / (LEVELS - threshold)
    if input.dtype in (torch.float32, torch.float64):
        mask.mul_(scale)
        return input.mul_(mask) if inplace else input * mask
    masked = input.mul_(mask) if inplace else input * mask
    return masked.mul_(scale) if inplace else masked * scale  # a 16-bit mask cannot represent the scale exactly


def _is_fast_for(values: Tensor) -> bool:
    on_cpu = values.device.type == "cpu" and values.layout == torch.strided and values.is_floating_point()
    return on_cpu and values.numel() >= MIN_ELEMENTS and not torch.compiler.is_compiling()


def _draw_mask(like: Tensor, threshold: int) -> Tensor:
    """Return a mask of ones and zeros with the shape, dtype and memory format of `like`."""
    mask = torch.empty_like(like, requires_grad=False)
    draws = torch.empty((mask.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    numbers = draws.view(torch.int16)[: mask.numel()].as_strided(mask.size(), mask.stride())
    return torch.ge(numbers, threshold - LEVELS // 2, out=mask)
