"""The rule for which scores may be compared, shared by `compare`, the gate and stored baselines.

Scores whose protocols differ measure different things and are never ranked together. Scores that differ only in
software are ranked, with a mark, because the software may be what was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .differences import differing_fields


class HasProtocol(Protocol):
    """The properties that decide whether scores are comparable."""

    @property
    def protocol(self) -> Mapping[str, Any]: ...

    @property
    def software(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class ScoreDifferences:
    """The protocol and software fields that differ between scores, each with its value for every score."""

    protocol: dict[str, tuple[Any, ...]]
    software: dict[str, tuple[Any, ...]]

    @property
    def comparable(self) -> bool:
        return not self.protocol


def compare_scores(scores: Iterable[HasProtocol]) -> ScoreDifferences:
    """Compare the protocols and the software of any number of scores."""
    scores = list(scores)
    return ScoreDifferences(
        protocol=differing_fields(score.protocol for score in scores),
        software=differing_fields(score.software for score in scores),
    )
