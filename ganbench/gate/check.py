"""The gate: head measured beside base in one job, or against stored sessions, and judged."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ganbench.errors import NotComparableError

from .baseline import Baseline, need_same_conditions
from .comparison import differing, flatten, providers
from .session import Arm, Measurement, Session
from .statistics import paired, predicted
from .verdict import Finding, Threshold, Verdict, judge_all, overall

QUADS = 4  # and as many again where the first look is inconclusive
ORDERS = ("ABBA", "BAAB")
THROUGHPUT = Threshold(margin=0.05)
STORED_THROUGHPUT = Threshold(margin=0.10)  # a machine is not quite the same from day to day
FRESH_SESSIONS = 4
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
    findings: dict[str, Finding]
    memory: MemoryFinding | None
    differences: dict[str, dict[str, tuple[Any, ...]]]
    seed: int | None = None  # of the order, where sides were interleaved
    advisory: tuple[str, ...] = ()  # why this must not fail a build, if so

    @property
    def verdict(self) -> Verdict:
        verdicts = {name: finding.verdict for name, finding in self.findings.items()}
        whole = overall({**verdicts, **({"memory": self.memory.verdict} if self.memory else {})})
        return Verdict.INCONCLUSIVE if self.advisory and whole == Verdict.REGRESSED else whole


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
        findings=findings,
        memory=judge_memory(sessions),
        differences=differences(sessions),
        seed=seed,
    )


def check_stored(
    baselines: Mapping[str, Baseline],
    head: Arm,
    measurement: Measurement,
    threshold: Threshold = STORED_THROUGHPUT,
    sessions: int = FRESH_SESSIONS,
    told: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Measure head, and judge it against every baseline: a rolling one and a pinned one together let nothing creep in.

    Raises `NotComparableError` where a baseline was measured under other conditions or has but one session,
    `SessionError` where a session crashed.
    """
    for name, baseline in baselines.items():
        if len(baseline.sessions) < 2:
            raise NotComparableError(f"baseline {name}: one session tells nothing of how they scatter; record more")
    fresh = measure_all(head, measurement, sessions, told, list(baselines.values()))
    checks = []
    for name, baseline in baselines.items():
        both = Sessions(base=baseline.sessions, head=fresh)
        costs = [[session.seconds_per_image for session in side] for side in (both.base, both.head)]
        check = Check(
            measurement=measurement,
            names=(name, head.name),
            sessions=both,
            findings=judge_all({"throughput": predicted(*costs)}, {"throughput": threshold}),
            memory=judge_memory(both),
            differences=differences(both),
            advisory=tuple(baseline.advisory(fresh[0])),
        )
        checks.append(check)
    return checks


def measure_all(
    arm: Arm,
    measurement: Measurement,
    count: int,
    told: Callable[[str], None],
    baselines: Sequence[Baseline] = (),
) -> list[Session]:
    """Some sessions one after another; the first one that cannot be compared with a baseline ends it."""
    sessions: list[Session] = []
    for number in range(1, count + 1):
        session = arm.measure(measurement)
        for baseline in baselines:
            need_same_conditions(baseline, session)
        sessions.append(session)
        told(f"session {number}/{count}: {1 / session.seconds_per_image:,.1f} images/s")
    return sessions


@dataclass(frozen=True)
class SelfTest:
    """The gate tried on this machine: code against itself, as it is and with a planted slowdown."""

    unchanged: Check
    slowed: Check
    planted: float  # the share by which each step of the slowed side takes longer

    @property
    def believable(self) -> bool | None:
        """Whether no regression was seen where there is none, and the planted one was; None if it was too noisy."""
        if self.unchanged.verdict == Verdict.REGRESSED or self.slowed.verdict == Verdict.PASS:
            return False
        return True if self.slowed.verdict == Verdict.REGRESSED else None


def self_test(
    measurement: Measurement,
    threshold: Threshold = THROUGHPUT,
    quads: int = QUADS,
    seed: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> SelfTest:
    """Check this Python's code against itself, then against itself slowed by twice the margin."""
    one, again = Arm("as it is"), Arm("again")
    unchanged = check_interleaved(one, again, measurement, threshold, quads, seed, told)
    first = unchanged.sessions.base[0]
    step_seconds = median(s.seconds_per_image for s in unchanged.sessions.base) * first.stamp["batch_size"]
    planted = 2 * threshold.margin
    slowed = Arm(f"slowed by {planted:.0%}", delay=planted * step_seconds)
    return SelfTest(unchanged, check_interleaved(one, slowed, measurement, threshold, quads, seed, told), planted)


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
        "plugins": differing(providers(side.plugins) for side in sides),
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
