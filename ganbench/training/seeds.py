"""Random streams that do not disturb one another, all derived from a run's one seed."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, stream: str) -> int:
    """A seed in [0, 2^63) for a named stream, unrelated to those of other names and seeds.

    Torch's CPU generator heeds its low 32 bits, a CUDA one all.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}".encode()).digest()[:8], "big") >> 1


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what torch draws from where no generator is named, on the CPU and on the device.

    `torch.manual_seed` does so too, and keeps a note with a stack trace for every kind of device that there is not.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for a named stream, such as "latents"."""
    return torch.Generator(device).manual_seed(derived_seed(seed, name))
