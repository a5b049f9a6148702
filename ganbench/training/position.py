"""The position in training."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """The number of steps before this one, and of the real images that they showed to the discriminator."""

    steps: int
    images: int
