"""Which scores may be compared: the one rule for results side by side, the gate and stored baselines.

Scores whose protocols differ measure different things and are never ranked together. Scores whose software differs
are, with a mark: the software may be the very thing that was changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .differences import differing
from .result import Stamp


@dataclass(frozen=True)
class StampDifferences:
    """The fields in which stamps differ, each with its value in every stamp."""

    protocol: dict[str, tuple[Any, ...]]
    software: dict[str, tuple[Any, ...]]

    @property
    def comparable(self) -> bool:
        return not self.protocol


def compare_stamps(stamps: Iterable[Stamp]) -> StampDifferences:
    """Compare any number of stamps field by field."""
    listed = list(stamps)
    return StampDifferences(
        protocol=differing(stamp.protocol for stamp in listed),
        software=differing(stamp.software for stamp in listed),
    )
