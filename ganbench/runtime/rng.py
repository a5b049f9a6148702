"""Independent random number generators, all derived from a run's seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

CPU = torch.device("cpu")


def derived_seed(seed: int, stream: str) -> int:
    """Return a seed in [0, 2^63) for a named generator, independent of those for other names and seeds.

    Torch's CPU generator uses only the low 32 bits, a CUDA generator uses all.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}".encode()).digest()[:8], "big") >> 1


def seed_default_rngs(seed: int, device: torch.device) -> None:
    """Seed the default generators: torch's on the CPU and the device, Python's and NumPy's.

    `torch.manual_seed` is not used because it stores a stack trace for every device type that is not initialized.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)


def default_rng_states(device: torch.device) -> dict[str, Any]:
    """Return the states of the default generators as tensors, numbers and strings."""
    state: Any = np.random.get_state()
    kind, words, position, has_gauss, gauss = state
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(words.astype(np.int64)), position, has_gauss, gauss),
    }


def set_default_rng_states(states: dict[str, Any], device: torch.device) -> None:
    """Restore the states that `default_rng_states` returned."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"], device)
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    kind, words, *rest = states["numpy"]
    np.random.set_state((kind, words.numpy().astype(np.uint32), *rest))


@contextmanager
def preserve_default_rngs(device: torch.device) -> Iterator[None]:
    """Restore torch's, Python's and NumPy's default generators after the block."""
    states = default_rng_states(device)
    try:
        yield
    finally:
        set_default_rng_states(states, device)


class IsolatedRNG:
    """A reusable context in which the default generators have separate states, which persist between uses.

    On a CUDA device, the generator gets another state object, as a CUDA graph keeps to the object that it was captured
    with: graphs that are replayed at the same time must not share one.
    """

    def __init__(self, seed: int, device: torch.device = CPU) -> None:
        self.on_device = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
        self.own_on_device = [generator.clone_state().manual_seed(seed) for generator in self.on_device]
        with preserve_default_rngs(CPU):
            seed_default_rngs(seed, CPU)
            self.own = default_rng_states(CPU)

    def __enter__(self) -> None:
        self.outside = default_rng_states(CPU)
        set_default_rng_states(self.own, CPU)
        self.outside_on_device = [generator.graphsafe_get_state() for generator in self.on_device]
        self._exchange(self.own_on_device)

    def __exit__(self, *exception: object) -> None:
        self.own_on_device = [generator.graphsafe_get_state() for generator in self.on_device]  # may be another object
        self._exchange(self.outside_on_device)
        self.own = default_rng_states(CPU)
        set_default_rng_states(self.outside, CPU)

    def _exchange(self, states: list[torch.Generator]) -> None:
        for generator, state in zip(self.on_device, states, strict=True):
            generator.graphsafe_set_state(state)


def make_rng(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator seeded for a name, such as "latents"."""
    return torch.Generator(device).manual_seed(derived_seed(seed, name))
