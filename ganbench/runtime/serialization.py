"""Serialize Python values, tensors, random number generators and containers of these for checkpoints."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .rng_objects import RNGS, new_rng, rng_kind, rng_state, set_rng_state
from .values import NUMBERS_AND_TEXT, is_plain


class NotSerializable(Exception):  # noqa: N818 - it is always handled
    """Raised when a value cannot be serialized as tensors, numbers and strings."""


def serialize(value: Any, is_built: bool = False) -> Any:
    """Convert a value to tensors, numbers, strings and tuples that name the container types.

    Raises `NotSerializable` for other values.
    """
    if type(value) in NUMBERS_AND_TEXT:
        return value
    if isinstance(value, Tensor) and is_plain(value):
        copy = value.detach().clone()
        return copy if copy.device.type == "cpu" else ("tensor", copy, copy.device.type)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return "array", torch.frombuffer(bytearray(value.tobytes()), dtype=torch.uint8), value.dtype.str, value.shape
    if (kind_of_rng := rng_kind(value)) is not None:
        return "generator", serialize(rng_state(value)), *kind_of_rng
    if is_built and isinstance(value, RNGS):
        return "generator", serialize(rng_state(value))
    if type(value) is dict:
        return "dict", [(serialize(key), serialize(item)) for key, item in value.items()]
    if type(value) is deque:
        return "deque", [serialize(item) for item in value], value.maxlen
    for kind in (list, tuple, set):
        if type(value) is kind:
            return kind.__name__, [serialize(item) for item in value]
    raise NotSerializable


def deserialize(saved: Any, current: Any) -> Any:
    """Return a serialized value, loaded into the object `current` if that is of the same kind."""
    if isinstance(saved, Tensor):
        return saved.clone() if not isinstance(current, Tensor) else _load_tensor(current, saved)
    if not isinstance(saved, tuple):
        return saved
    kind, content, *more = saved
    if kind == "tensor":  # of a GPU, although a checkpoint is read to the CPU
        return _load_tensor(current, content) if isinstance(current, Tensor) else content.to(more[0], copy=True)
    if kind == "generator":  # of random numbers: the tag that checkpoints have
        if not more and not isinstance(current, RNGS):
            return current
        rng = current if not more or rng_kind(current) == tuple(more) else new_rng(*more)
        set_rng_state(rng, deserialize(content, None))
        return rng
    if kind == "array":
        array = content.numpy().view(np.dtype(more[0])).reshape(tuple(more[1])).copy()
        if isinstance(current, np.ndarray) and current.shape == array.shape and current.dtype == array.dtype:
            current[...] = array
            return current
        return array
    if kind == "dict":
        target = current if type(current) is dict else {}
        pairs = [(deserialize(key, None), item) for key, item in content]
        loaded = {key: deserialize(item, target.get(key)) for key, item in pairs}
        target.clear()
        target.update(loaded)
        return target
    if kind == "tuple":
        old = current if type(current) is tuple and len(current) == len(content) else (None,) * len(content)
        parts = tuple(deserialize(item, inner) for item, inner in zip(content, old, strict=True))
        return current if all(part is inner for part, inner in zip(parts, old, strict=True)) else parts
    if kind == "deque":
        same = type(current) is deque and current.maxlen == more[0]
        target = current if same else deque(maxlen=more[0])
    else:
        target = current if type(current).__name__ == kind else {"list": list, "set": set}[kind]()
    before = list(target) if kind != "set" else []
    new = [deserialize(item, before[i] if i < len(before) else None) for i, item in enumerate(content)]
    target.clear()
    (target.update if kind == "set" else target.extend)(new)
    return target


def _load_tensor(current: Tensor, saved: Tensor) -> Tensor:
    if current.shape != saved.shape or current.dtype != saved.dtype:
        return saved.to(current.device, copy=True)
    with torch.no_grad():
        current.detach().copy_(saved)
    return current
