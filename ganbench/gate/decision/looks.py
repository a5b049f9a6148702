"""When an interleaved check decides: at five looks, the first after a quarter of its blocks.

A group-sequential test: each look has its own significance level, and the levels of all looks add up to that of the
whole check (error spending: Lan and DeMets 1983, doi:10.1093/biomet/70.3.659). So a check ends as soon as the evidence
allows, and its error rates are at most those promised, however the looks depend on each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .statistics import Estimate
from .verdict import Decision, Threshold, decide

FRACTIONS = (0.25, 0.375, 0.5, 0.75, 1.0)  # of the blocks
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6)  # of the level of a single look; together twice that level


@dataclass(frozen=True)
class Look:
    """A decision after some of the blocks."""

    blocks: int = 0  # measured by then; 0 if there is only one look
    share: float = 1.0  # of the level of a single look

    def decide(self, estimate: Estimate, threshold: Threshold, level: float) -> Decision:
        """Decide at this look's level; `level` is that of a single look."""
        return decide(estimate, replace(threshold, pass_alpha=threshold.pass_alpha * self.share), level * self.share)


SINGLE_LOOK = Look()


def looks(max_blocks: int) -> list[Look]:
    """Return the looks of a check of at most `max_blocks` blocks; fewer if two would come after the same block."""
    shares = {math.ceil(fraction * max_blocks): share for fraction, share in zip(FRACTIONS, SHARES, strict=True)}
    return [Look(blocks, share) for blocks, share in shares.items()]
