"""Test the gate on this machine: does it flag unchanged code, and does it detect a slowdown?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from .check import Check, CheckConfig
from .comparing import check_interleaved
from .decision.verdict import Verdict
from .side import Side


@dataclass(frozen=True)
class SelfTest:
    """Two checks of code against itself: unchanged, and with an injected slowdown."""

    unchanged: Check
    slowed: Check
    injected: float  # the slowdown of each step, as a fraction

    @property
    def passed(self) -> bool | None:
        """Whether only the injected slowdown was flagged; None if the machine is too noisy to decide."""
        verdicts = (self.unchanged.verdict, self.slowed.verdict)
        if verdicts[0] == Verdict.REGRESSED or verdicts[1] == Verdict.PASS:
            return False
        return True if verdicts == (Verdict.PASS, Verdict.REGRESSED) else None


def self_test(config: CheckConfig) -> SelfTest:
    """Check the code of the running Python against itself, then against itself slowed by twice the margin."""
    config = replace(config, speed=True, smoke=False, quality=False, always_measure=True)
    first, second = Side("first"), Side("second")
    unchanged = check_interleaved(first, second, config)
    assert unchanged.measurements.sessions is not None
    sessions = unchanged.measurements.sessions.base
    discriminator_steps = sessions[0].spec["training"].get("discriminator_steps", 1)
    images_per_step = sessions[0].conditions["batch_size"] * discriminator_steps
    step_seconds = median(session.seconds_per_image for session in sessions) * images_per_step
    injected = 2 * config.margins.time_percent / 100
    slowed = Side(f"slowed by {injected:.0%}", delay=injected * step_seconds)
    return SelfTest(unchanged, check_interleaved(first, slowed, config), injected)
