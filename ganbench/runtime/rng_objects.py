"""Random number generators of Python, numpy and torch: their state and kind, and new ones of a kind."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)


def generator_state(generator: Any) -> Any:
    """Return the state of a random number generator."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.bit_generator.state


def set_generator_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, torch.Generator | np.random.RandomState):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


def generator_kind(generator: Any) -> tuple[str, str] | None:
    """Return the library of a random number generator, and its algorithm or device, for `new_generator`.

    Return None for anything else, such as one with a class or an algorithm of a plugin.
    """
    if type(generator) is random.Random:
        return "random", ""
    if type(generator) is torch.Generator:
        return "torch", generator.device.type
    if type(generator) in (np.random.Generator, np.random.RandomState):
        algorithm = generator_state(generator)["bit_generator"]
        if hasattr(np.random, algorithm):
            return f"numpy.{type(generator).__name__}", algorithm
    return None


def new_generator(library: str, detail: str) -> Any:
    """Return a random number generator of this kind, for a plugin that creates its own in its first call."""
    if library == "random":
        return random.Random()
    if library == "torch":
        return torch.Generator(detail)
    kind = np.random.Generator if library == "numpy.Generator" else np.random.RandomState
    return kind(getattr(np.random, detail)())
