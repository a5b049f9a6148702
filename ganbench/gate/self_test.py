"""The gate tried on this very machine: would it cry wolf, and would it see one?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from .check import Check, Plan, check_interleaved
from .side import Arm
from .verdict import Verdict


@dataclass(frozen=True)
class SelfTest:
    """Code against itself, as it is and with a planted slowdown."""

    unchanged: Check
    slowed: Check
    planted: float  # the share by which each step of the slowed side takes longer

    @property
    def believable(self) -> bool | None:
        """Whether no regression was seen where there is none, and the planted one was; None if it was too noisy."""
        if self.unchanged.verdict == Verdict.REGRESSED or self.slowed.verdict == Verdict.PASS:
            return False
        return True if self.slowed.verdict == Verdict.REGRESSED else None


def self_test(plan: Plan) -> SelfTest:
    """Check this Python's code against itself, then against itself slowed by twice the margin."""
    plan = replace(plan, speed=True, smoke=False, quality=False, always_measure=True)
    one, again = Arm("as it is"), Arm("again")
    unchanged = check_interleaved(one, again, plan)
    assert unchanged.evidence.sessions is not None
    sessions = unchanged.evidence.sessions.base
    step_seconds = median(session.seconds_per_image for session in sessions) * sessions[0].conditions["batch_size"]
    planted = 2 * plan.margins.time_percent / 100
    slowed = Arm(f"slowed by {planted:.0%}", delay=planted * step_seconds)
    return SelfTest(unchanged, check_interleaved(one, slowed, plan), planted)
