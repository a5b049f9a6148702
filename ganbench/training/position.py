"""Where training stands."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """How many steps were taken before this one, and how many real images they showed to the discriminator."""

    steps: int
    images: int
