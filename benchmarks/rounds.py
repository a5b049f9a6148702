"""The order of measurements that are compared, so that a slow change of the machine affects all sides alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Side = TypeVar("Side")


def alternating(sides: Iterable[Side], rounds: int) -> Iterator[tuple[int, Side]]:
    """Yield the number of each round, from 0 on, with each side."""
    sides = list(sides)
    for number in range(rounds):
        for side in in_order_of(number, sides):
            yield number, side


def in_order_of(number: int, sides: Iterable[Side]) -> list[Side]:
    """Return the sides in the order of this round: reversed in every other one."""
    return list(sides) if number % 2 == 0 else list(sides)[::-1]
