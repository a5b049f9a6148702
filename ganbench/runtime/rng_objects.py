"""Random number generators of Python, numpy and torch: their state and kind, and new ones of a kind."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

RNGS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)


def rng_state(rng: Any) -> Any:
    """Return the state of a random number generator."""
    if isinstance(rng, random.Random):
        return rng.getstate()
    if isinstance(rng, torch.Generator):
        return rng.get_state()
    if isinstance(rng, np.random.RandomState):
        return rng.get_state(legacy=False)
    return rng.bit_generator.state


def set_rng_state(rng: Any, state: Any) -> None:
    if isinstance(rng, random.Random):
        rng.setstate(state)
    elif isinstance(rng, torch.Generator | np.random.RandomState):
        rng.set_state(state)
    else:
        rng.bit_generator.state = state


def rng_kind(rng: Any) -> tuple[str, str] | None:
    """Return the library of a random number generator, and its algorithm or device, for `new_rng`.

    Return None for anything else, such as one with a class or an algorithm of a plugin.
    """
    if type(rng) is random.Random:
        return "random", ""
    if type(rng) is torch.Generator:
        return "torch", rng.device.type
    if type(rng) in (np.random.Generator, np.random.RandomState):
        algorithm = rng_state(rng)["bit_generator"]
        if hasattr(np.random, algorithm):
            return f"numpy.{type(rng).__name__}", algorithm
    return None


def new_rng(library: str, detail: str) -> Any:
    """Return a random number generator of this kind, for a plugin that creates its own in its first call."""
    if library == "random":
        return random.Random()
    if library == "torch":
        return torch.Generator(detail)
    kind = np.random.Generator if library == "numpy.Generator" else np.random.RandomState
    return kind(getattr(np.random, detail)())
