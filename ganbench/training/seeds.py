"""Random streams that do not disturb one another, all derived from a run's one seed."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, stream: str) -> int:
    """A seed in [0, 2^63) for a named stream, unrelated to those of other names and seeds.

    Torch's CPU generator heeds its low 32 bits, a CUDA one all.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}".encode()).digest()[:8], "big") >> 1


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for a named stream, such as "latents"."""
    return torch.Generator(device).manual_seed(derived_seed(seed, name))
