"""Copy, compare and restore Python values, tensors, random number generators and containers of these."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np
import torch
from torch import Tensor

from .rng_objects import RNGS, rng_state, set_rng_state

NUMBERS_AND_TEXT = (type(None), bool, int, float, str)
ATOMS = (
    *NUMBERS_AND_TEXT,
    complex,
    bytes,
    range,
    slice,
    Enum,
    Fraction,
    Decimal,
    PurePath,
    UUID,
    date,
    time,
    timedelta,
    np.generic,
    np.dtype,
    torch.dtype,
    torch.device,
    torch.memory_format,
    torch.layout,
    torch.Size,
)
CONTAINERS = (list, tuple, dict, set, frozenset, deque)
MAX_DEPTH = 50  # of nested containers


def is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor is dense and has memory; those of `torch.func`, such as within `vmap`, have none."""
    has_memory = not (tensor.is_meta or torch._C._functorch.is_functorch_wrapped_tensor(tensor))
    return tensor.layout == torch.strided and has_memory


def address_of(tensor: Tensor) -> int:
    """Return the address of a tensor's storage, which other tensors may share."""
    return tensor.untyped_storage().data_ptr()


def is_atom(value: Any) -> bool:
    """Return whether a value is immutable."""
    return isinstance(value, ATOMS)


class SavedValue:
    """A copy of a value's contents, to restore them in the same object."""

    def __init__(self, value: Any, elsewhere: Set[int] = frozenset(), depth: int = 0) -> None:
        """`elsewhere` has the addresses of tensors restored by other code; of these, only the identity is compared."""
        self.value = value
        self.parts: Any = None
        if depth > MAX_DEPTH:
            return
        if isinstance(value, Tensor):
            if is_plain(value) and address_of(value) not in elsewhere:
                self.parts = value.detach().clone()
        elif isinstance(value, np.ndarray):
            self.parts = value.copy()
        elif isinstance(value, bytearray):
            self.parts = bytes(value)
        elif isinstance(value, RNGS):
            self.parts = rng_state(value)
        elif isinstance(value, dict):
            self.parts = {key: SavedValue(item, elsewhere, depth + 1) for key, item in value.items()}
        elif isinstance(value, list | tuple | deque):
            self.parts = [SavedValue(item, elsewhere, depth + 1) for item in value]
        elif isinstance(value, set):
            self.parts = set(value)

    def equals(self, value: Any) -> bool:
        """Return whether a value is bitwise identical to the snapshot; other objects are compared by identity."""
        if type(value) is not type(self.value):
            return False
        if is_atom(value):
            return value is self.value or value == self.value or (value != value and self.value != self.value)
        if self.parts is None:
            return value is self.value
        if isinstance(value, Tensor):
            return same_bits(self.parts, value)
        if isinstance(value, np.ndarray):
            return value.dtype == self.parts.dtype and value.shape == self.parts.shape and same_array(value, self.parts)
        if isinstance(value, bytearray):
            return bytes(value) == self.parts
        if isinstance(value, RNGS):
            return SavedValue(self.parts).equals(rng_state(value))
        if isinstance(value, dict):
            return list(value) == list(self.parts) and all(self.parts[key].equals(value[key]) for key in value)
        if isinstance(value, set):
            return value == self.parts
        return len(value) == len(self.parts) and all(p.equals(v) for p, v in zip(self.parts, value, strict=True))

    def restore(self) -> Any:
        """Restore the contents and return the object."""
        value = self.value
        if self.parts is None:
            return value
        if isinstance(value, Tensor):
            with torch.no_grad():
                if value.shape != self.parts.shape or value.dtype != self.parts.dtype:
                    value.data = self.parts.clone()
                elif not same_bits(value, self.parts):
                    value.detach().copy_(self.parts)
        elif isinstance(value, np.ndarray):
            if not same_array(value, self.parts):
                value[...] = self.parts
        elif isinstance(value, bytearray):
            value[:] = self.parts
        elif isinstance(value, RNGS):
            set_rng_state(value, self.parts)
        elif isinstance(value, dict):
            restored = {key: part.restore() for key, part in self.parts.items()}
            if list(value) != list(restored) or any(value[key] is not restored[key] for key in restored):
                value.clear()
                value.update(restored)
        elif isinstance(value, set):
            if value != self.parts:
                value.clear()
                value.update(self.parts)
        else:
            parts = [part.restore() for part in self.parts]
            if isinstance(value, list):
                value[:] = parts
            elif isinstance(value, deque):
                value.clear()
                value.extend(parts)
        return value


def same_bits(first: Any, second: Any) -> bool:
    """Return whether values are equal; tensors must be bitwise identical, so NaN equals NaN, and 0 differs from -0."""
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return type(first) is type(second) and bool(first == second)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    bits = (tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (first, second))
    return torch.equal(*bits)


def same_array(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(first.dtype.hasobject is False and first.tobytes() == second.tobytes())


class Identity:
    """The identity of an object, without keeping it alive; for a tensor, also the address of its data."""

    def __init__(self, value: Any) -> None:
        try:
            self.reference: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self.reference = lambda: value
        self.is_tensor = isinstance(value, Tensor)
        self.address = value.data_ptr() if isinstance(value, Tensor) and is_plain(value) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity) or self.address != other.address:
            return False
        mine = self.reference()
        return mine is not None and mine is other.reference()

    __hash__ = None  # type: ignore[assignment]


def freeze(value: Any, depth: int = 0) -> Any:
    """Return a copy to detect changes by comparison: tensors and other objects are replaced by their identity."""
    if isinstance(value, Tensor) or depth > MAX_DEPTH:
        return Identity(value)
    if isinstance(value, float):
        return repr(value)  # so that NaN equals NaN
    if is_atom(value):
        return value
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, RNGS):
        return _freeze_state(rng_state(value))
    if isinstance(value, dict):
        return [(freeze(key, depth + 1), freeze(item, depth + 1)) for key, item in value.items()]
    if isinstance(value, bytearray | set | frozenset):
        return type(value)(value)
    if isinstance(value, list | tuple | deque):
        return [freeze(item, depth + 1) for item in value]
    return Identity(value)


def _freeze_state(state: Any) -> Any:
    return state.tolist() if isinstance(state, Tensor) else freeze(state)
