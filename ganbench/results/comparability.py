"""Which scores may be compared: the one rule for results side by side, the gate and stored baselines.

Scores whose protocols differ measure different things and are never ranked together. Scores whose software differs
are, with a mark: the software may be the very thing that was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .differences import differing_fields


class Score(Protocol):
    """What two scores are compared by."""

    @property
    def protocol(self) -> Mapping[str, Any]: ...

    @property
    def software(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class ScoreDifferences:
    """The fields in which the protocols and the software of scores differ, each with its value in every score."""

    protocol: dict[str, tuple[Any, ...]]
    software: dict[str, tuple[Any, ...]]

    @property
    def comparable(self) -> bool:
        return not self.protocol


def compare_scores(scores: Iterable[Score]) -> ScoreDifferences:
    """Compare the protocols and the software of any number of scores."""
    listed = list(scores)
    return ScoreDifferences(
        protocol=differing_fields(score.protocol for score in listed),
        software=differing_fields(score.software for score in listed),
    )
