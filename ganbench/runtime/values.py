"""Plain values, tensors, random generators and containers of them: copied, compared, put back, and written down."""

from __future__ import annotations

import random
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
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)


MOST_NESTED = 50


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has numbers of its own at an address."""
    return tensor.layout == torch.strided and not tensor.is_meta


def address_of(tensor: Tensor) -> int:
    """Where the memory begins that a tensor has, or shares with others."""
    return tensor.untyped_storage().data_ptr()


def is_atom(value: Any) -> bool:
    """Whether a value never changes."""
    return isinstance(value, ATOMS)


class NotSerializable(Exception):  # noqa: N818 - it is handled
    """A value that cannot be written down as tensors, numbers and text."""


class Kept:
    """A value as it was: `restore` gives the very same object back, with the contents that it had."""

    def __init__(self, value: Any, elsewhere: Set[int] = frozenset(), depth: int = 0) -> None:
        """`elsewhere` has the addresses of tensors that are restored by others: of those only the identity counts."""
        self.value = value
        self.parts: Any = None
        if depth > MOST_NESTED:
            return
        if isinstance(value, Tensor):
            if is_plain(value) and address_of(value) not in elsewhere:
                self.parts = value.detach().clone()
        elif isinstance(value, np.ndarray):
            self.parts = value.copy()
        elif isinstance(value, bytearray):
            self.parts = bytes(value)
        elif isinstance(value, GENERATORS):
            self.parts = generator_state(value)
        elif isinstance(value, dict):
            self.parts = {key: Kept(item, elsewhere, depth + 1) for key, item in value.items()}
        elif isinstance(value, list | tuple | deque):
            self.parts = [Kept(item, elsewhere, depth + 1) for item in value]
        elif isinstance(value, set):
            self.parts = set(value)

    def equals(self, value: Any) -> bool:
        """Whether a value is, in every bit, what this one was; objects by identity."""
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
        if isinstance(value, GENERATORS):
            return Kept(self.parts).equals(generator_state(value))
        if isinstance(value, dict):
            return list(value) == list(self.parts) and all(self.parts[key].equals(value[key]) for key in value)
        if isinstance(value, set):
            return value == self.parts
        return len(value) == len(self.parts) and all(p.equals(v) for p, v in zip(self.parts, value, strict=True))

    def restore(self) -> Any:
        """The value, as it was."""
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
        elif isinstance(value, GENERATORS):
            set_generator_state(value, self.parts)
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
    """Equality of plain values; of tensors in shape, type and every bit, so that NaN equals NaN and 0 not -0."""
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return type(first) is type(second) and bool(first == second)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    bits = (tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (first, second))
    return torch.equal(*bits)


def same_array(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(first.dtype.hasobject is False and first.tobytes() == second.tobytes())


class Held:
    """A tensor or another object by its identity, and a tensor also by where its numbers lie."""

    def __init__(self, value: Any) -> None:
        try:
            self.published_curve: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self.published_curve = lambda: value
        self.is_tensor = isinstance(value, Tensor)
        self.address = value.data_ptr() if isinstance(value, Tensor) and is_plain(value) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Held) or self.address != other.address:
            return False
        mine = self.published_curve()
        return mine is not None and mine is other.published_curve()

    __hash__ = None  # type: ignore[assignment]


def frozen(value: Any, depth: int = 0) -> Any:
    """What has to stand still of a value: numbers and text as they are, tensors and objects by their identity."""
    if isinstance(value, Tensor) or depth > MOST_NESTED:
        return Held(value)
    if isinstance(value, float):
        return repr(value)  # NaN stands still, too
    if is_atom(value):
        return value
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, GENERATORS):
        return frozen_state(generator_state(value))
    if isinstance(value, dict):
        return [(frozen(key, depth + 1), frozen(item, depth + 1)) for key, item in value.items()]
    if isinstance(value, bytearray | set | frozenset):
        return type(value)(value)
    if isinstance(value, list | tuple | deque):
        return [frozen(item, depth + 1) for item in value]
    return Held(value)


def frozen_state(state: Any) -> Any:
    return state.tolist() if isinstance(state, Tensor) else frozen(state)


def generator_state(generator: Any) -> Any:
    """The state of a random generator."""
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


def written(value: Any) -> Any:
    """Write a value as tensors, numbers and text, with the kinds of containers. Raises `NotSerializable` otherwise."""
    if type(value) in NUMBERS_AND_TEXT:
        return value
    if isinstance(value, Tensor) and is_plain(value):
        return value.detach().clone()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return "array", torch.frombuffer(bytearray(value.tobytes()), dtype=torch.uint8), value.dtype.str, value.shape
    if isinstance(value, GENERATORS):
        return "generator", written(generator_state(value))
    if type(value) is dict:
        return "dict", [(written(key), written(item)) for key, item in value.items()]
    for kind in (list, tuple, set, deque):
        if type(value) is kind:
            return kind.__name__, [written(item) for item in value]
    raise NotSerializable


def read(text: Any, now: Any) -> Any:
    """What `written` wrote. `now` is what is there, and takes the contents where it is of the same kind."""
    if isinstance(text, Tensor):
        return text.clone() if not isinstance(now, Tensor) else _into_tensor(now, text)
    if not isinstance(text, tuple):
        return text
    kind, content, *more = text
    if kind == "generator":
        if isinstance(now, GENERATORS):
            set_generator_state(now, read(content, None))
        return now
    if kind == "array":
        array = content.numpy().view(np.dtype(more[0])).reshape(tuple(more[1])).copy()
        if isinstance(now, np.ndarray) and now.shape == array.shape and now.dtype == array.dtype:
            now[...] = array
            return now
        return array
    if kind == "dict":
        own = now if type(now) is dict else {}
        pairs = [(read(key, None), item) for key, item in content]
        fresh = {key: read(item, own.get(key)) for key, item in pairs}
        own.clear()
        own.update(fresh)
        return own
    if kind == "tuple":
        held = now if type(now) is tuple and len(now) == len(content) else (None,) * len(content)
        parts = tuple(read(item, inner) for item, inner in zip(content, held, strict=True))
        return now if all(part is inner for part, inner in zip(parts, held, strict=True)) else parts
    own = now if type(now).__name__ == kind else {"list": list, "set": set, "deque": deque}[kind]()
    before = list(own) if kind != "set" else []
    new = [read(item, before[i] if i < len(before) else None) for i, item in enumerate(content)]
    own.clear()
    (own.update if kind == "set" else own.extend)(new)
    return own


def _into_tensor(now: Tensor, saved: Tensor) -> Tensor:
    if now.shape != saved.shape or now.dtype != saved.dtype:
        return saved.to(now.device, copy=True)
    with torch.no_grad():
        now.detach().copy_(saved)
    return now
