"""The gate of a pull request: base and head measured side by side in one job, and judged."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ganbench.errors import NotComparableError

from .comparison import differing, flatten
from .session import Arm, Measurement, Session
from .statistics import paired
from .verdict import Finding, Threshold, Verdict, judge_all, overall

QUADS = 4  # and as many again where the first look is inconclusive
ORDERS = ("ABBA", "BAAB")
THROUGHPUT = Threshold(margin=0.05)
MEMORY_MARGIN, MEMORY_BYTES = 0.02, 32 * 2**20

# what has to be equal for two sides of one job to be compared; engine and spec may be the very thing that was changed
CONDITIONS = ("device", "device_count", "device_memory_bytes", "threads", "precision", "batch_size")


@dataclass
class Sessions:
    """The sessions of both sides in the order of their pairs."""

    base: list[Session] = field(default_factory=list)
    head: list[Session] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """What came of a comparison."""

    measurement: Measurement
    names: tuple[str, str]  # of base and head, as people know them
    sessions: Sessions
    seed: int
    findings: dict[str, Finding]
    memory: MemoryFinding | None
    differences: dict[str, dict[str, tuple[Any, ...]]]

    @property
    def verdict(self) -> Verdict:
        verdicts = {name: finding.verdict for name, finding in self.findings.items()}
        return overall({**verdicts, **({"memory": self.memory.verdict} if self.memory else {})})


@dataclass(frozen=True)
class MemoryFinding:
    """Peak memory, which hardly scatters: worse if it is worse in every session."""

    verdict: Verdict
    base_bytes: int  # the largest peak of any session
    head_bytes: int  # the smallest


def check_interleaved(
    base: Arm,
    head: Arm,
    measurement: Measurement,
    threshold: Threshold = THROUGHPUT,
    quads: int = QUADS,
    seed: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Check:
    """Measure both sides in quads of ABBA and BAAB in random order, look, and measure as many again if need be.

    A is base, B is head. Neighbours are pairs: a drift of the machine that takes longer than a pair cancels, and in a
    quad a steady one cancels altogether. `told` hears of each session. Raises `NotComparableError` where the sides ran
    under different conditions, `SessionError` where one crashed.
    """
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    order = random.Random(seed)
    sessions = Sessions()
    for look in range(2):
        for quad in range(quads):
            for side in order.choice(ORDERS):
                arm, taken = (base, sessions.base) if side == "A" else (head, sessions.head)
                session = arm.measure(measurement)
                taken.append(session)
                rate = 1 / session.seconds_per_image
                told(f"quad {look * quads + quad + 1}, {arm.name}: {rate:,.1f} images/s")
                need_comparable(sessions)
        findings = look_at(sessions, threshold)
        if overall({name: finding.verdict for name, finding in findings.items()}) != Verdict.INCONCLUSIVE:
            break
    return Check(
        measurement=measurement,
        names=(base.name, head.name),
        sessions=sessions,
        seed=seed,
        findings=findings,
        memory=judge_memory(sessions),
        differences=differences(sessions),
    )


def look_at(sessions: Sessions, threshold: Threshold) -> dict[str, Finding]:
    """A verdict on what scatters."""
    costs = [[session.seconds_per_image for session in side] for side in (sessions.base, sessions.head)]
    return judge_all({"throughput": paired(*costs)}, {"throughput": threshold})


def judge_memory(sessions: Sessions) -> MemoryFinding | None:
    """Regressed if each session of head needs over 2 % and 32 MiB more than any of base; None if none is told."""
    base, head = (
        [session.peak_bytes for session in side if session.peak_bytes is not None]
        for side in (sessions.base, sessions.head)
    )
    if not base or not head:
        return None
    most, least = max(base), min(head)
    worse = least - most > max(MEMORY_BYTES, MEMORY_MARGIN * most)
    return MemoryFinding(Verdict.REGRESSED if worse else Verdict.PASS, most, least)


def need_comparable(sessions: Sessions) -> None:
    """Raise `NotComparableError` if sessions ran under different conditions."""
    fields = differing(
        {**{name: session.stamp.get(name) for name in CONDITIONS}, "data": session.data}
        for session in [*sessions.base, *sessions.head]
    )
    if fields:
        told = "; ".join(f"{name}: {', '.join(map(str, dict.fromkeys(values)))}" for name, values in fields.items())
        raise NotComparableError(f"the two sides ran under different conditions, so speeds say nothing: {told}")


def differences(sessions: Sessions) -> dict[str, dict[str, tuple[Any, ...]]]:
    """In what the two sides differ beside their speed."""
    sides = (sessions.base[0], sessions.head[0])
    return {
        "spec": differing(flatten(side.spec) for side in sides),
        "engine": differing(side.stamp for side in sides),
        "environment": differing(side.environment.soft for side in sides),
        "plugins": differing(
            {f"{plugin.kind} {plugin.name}": f"{plugin.distribution} {plugin.version}" for plugin in side.plugins}
            for side in sides
        ),
    }


def phase_seconds(check: Check) -> dict[str, tuple[float, float]]:
    """Seconds an image in each phase, of base and of head: medians over the sessions."""
    sides = (check.sessions.base, check.sessions.head)
    phases = dict.fromkeys(phase for side in sides for session in side for phase in session.phases)
    return {
        phase: tuple(median(session.phase_seconds.get(phase, 0.0) for session in side) for side in sides)  # type: ignore[misc]
        for phase in phases
    }


def moved_most(check: Check) -> str:
    """The phase to which most of the lost time went."""
    lost = {phase: after - before for phase, (before, after) in phase_seconds(check).items()}
    return max(lost, key=lambda phase: lost[phase])
