"""The gate on speed and memory: pairs of sessions of both sides, or fresh sessions beside stored ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from ganbench.errors import NotComparableError
from ganbench.reporting.formatting import mebibytes
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.schema import providers
from ganbench.spec.benchmark import GateOptions

from .arm import Arm, Code, Measurement
from .session import Session, measure_alone, measure_pair
from .statistics import Estimate, paired, predicted
from .verdict import (
    Finding,
    Judgement,
    Threshold,
    Verdict,
    judge,
)

QUADS = 4  # and as many again where the first look is inconclusive
LOOKS = 2
ORDERS = ("ABBA", "BAAB")

# what has to be equal for two sides of one job to be compared; engine and spec may be the very thing that was changed
CONDITIONS = ("device", "device_count", "device_memory_bytes", "threads", "precision", "batch_size")


@dataclass(frozen=True)
class Sessions:
    """What was timed on both sides: in pairs, or as two lists that have nothing else in common."""

    base: list[Session]
    head: list[Session]
    in_pairs: bool

    @property
    def log_ratios(self) -> list[float]:
        """Of each pair: the median over its windows of log(cost of head / cost of base)."""
        return [log_ratio(*pair) for pair in zip(self.base, self.head, strict=True)]

    def estimate(self) -> Estimate:
        """How much slower head is."""
        if self.in_pairs:
            return paired(self.log_ratios)
        return predicted(*([session.seconds_per_image for session in side] for side in (self.base, self.head)))


def log_ratio(base: Session, head: Session) -> float:
    windows = zip(base.images_per_second, head.images_per_second, strict=True)
    return median(math.log(of_base / of_head) for of_base, of_head in windows)


def measure_interleaved(
    base: Arm,
    head: Arm,
    measurement: Measurement,
    threshold: Callable[[Session], Threshold],
    level: float,
    quads: int,
    order: random.Random,
    told: Callable[[str], None],
) -> Sessions:
    """Measure quads of both sides, look, and measure as many again if that is inconclusive.

    `threshold` is asked with the first session; `level` is that of the verdict in the end, so that the look which ends
    the measuring cannot be overruled. Raises as `measure_quads` does.
    """
    sessions = Sessions(base=[], head=[], in_pairs=True)
    for _ in range(LOOKS):
        measure_quads(sessions, base, head, measurement, quads, order, told)
        if judge(sessions.estimate(), threshold(sessions.base[0]), level).verdict != Verdict.INCONCLUSIVE:
            break
    return sessions


def measure_quads(
    sessions: Sessions,
    base: Arm,
    head: Arm,
    measurement: Measurement,
    quads: int,
    order: random.Random,
    told: Callable[[str], None],
) -> None:
    """Add quads of ABBA or BAAB in random order: A is base, B is head, and neighbours are a pair.

    `told` hears of each pair. Raises `NotComparableError` where the sides ran under different conditions,
    `SessionError` where one crashed.
    """
    for quad in range(1, quads + 1):
        letters = order.choice(ORDERS)
        for pair in (letters[:2], letters[2:]):
            first, second = (base if side == "A" else head for side in pair)
            measured = measure_pair(first, second, measurement)
            for side, session in zip(pair, measured, strict=True):
                (sessions.base if side == "A" else sessions.head).append(session)
            need_comparable(sessions)
            told(f"quad {quad}/{quads}, {pair}: {pair_sentence(sessions.base[-1], sessions.head[-1])}")


def pair_sentence(base: Session, head: Session) -> str:
    rates = f"{1 / base.seconds_per_image:,.1f} and {1 / head.seconds_per_image:,.1f} images/s"
    return f"{rates}, {math.expm1(log_ratio(base, head)):+.1%} of time"


def measure_fresh(
    arm: Arm,
    measurement: Measurement,
    count: int,
    told: Callable[[str], None],
    check: Callable[[Session], None] = lambda _: None,
) -> list[Session]:
    """Some sessions one after another; the first one that `check` raises on ends it."""
    sessions: list[Session] = []
    for number in range(1, count + 1):
        session = measure_alone(arm, measurement)
        check(session)
        sessions.append(session)
        told(f"session {number}/{count}: {1 / session.seconds_per_image:,.1f} images/s")
    return sessions


def throughput_finding(sessions: Sessions, judgement: Judgement) -> Finding:
    """What is said of speed, with the phase to which most of the lost time went."""
    base, head = (
        f"{median(1 / session.seconds_per_image for session in side):,.0f} images/s"
        for side in (sessions.base, sessions.head)
    )
    sentence = judgement_sentence("throughput", "of time", judgement)
    if judgement.verdict == Verdict.REGRESSED:
        sentence += f"; most of it in the phase {moved_most(sessions)}"
    return Finding(judgement.verdict, (base, head), sentence, judgement)


def judgement_sentence(name: str, unit: str, judgement: Judgement) -> str:
    """A figure's judgement in words."""
    change = f"{'better' if judgement.effect < 0 else 'worse'} by {abs(judgement.effect):.1%} {unit}"
    told = f"{name} is {change} (worse by between {judgement.lower:+.1%} and {judgement.upper:+.1%})"
    noisy = "too noisy to tell; " if judgement.verdict == Verdict.INCONCLUSIVE else ""
    return f"{told}; {noisy}smallest detectable regression {judgement.smallest_detectable:.1%}"


def memory_finding(sessions: Sessions, margins: GateOptions) -> Finding | None:
    """Peak memory hardly scatters: worse if each session of head needs more than any of base; None if none is told."""
    base, head = (
        [session.peak_bytes for session in side if session.peak_bytes is not None]
        for side in (sessions.base, sessions.head)
    )
    if not base or not head:
        return None
    most, least = max(base), min(head)
    worse = least - most > max(margins.memory_mib * 2**20, margins.memory_percent / 100 * most)
    told = (mebibytes(most), mebibytes(least))
    sentence = f"peak memory: base needs up to {told[0]}, head at least {told[1]}"
    return Finding(Verdict.REGRESSED if worse else Verdict.PASS, told, sentence)


def need_comparable(sessions: Sessions) -> None:
    """Raise `NotComparableError` if sessions ran under different conditions, or a side's code has changed meanwhile."""
    fields = differing_fields(conditions(session) for session in [*sessions.base, *sessions.head])
    if fields:
        told = "; ".join(f"{name}: {', '.join(map(str, dict.fromkeys(values)))}" for name, values in fields.items())
        raise NotComparableError(f"the two sides ran under different conditions, so speeds say nothing: {told}")
    need_unchanged([session.code for session in sessions.base])
    need_unchanged([session.code for session in sessions.head])


def need_unchanged(codes: list[dict[str, Code]]) -> None:
    """Raise `NotComparableError` if the code of one side is not the same in all of its sessions."""
    if fields := differing_fields(codes):
        raise NotComparableError(f"the code was changed while it was measured: {', '.join(fields)}; check again")


def conditions(session: Session) -> dict[str, Any]:
    """What has to be equal for the two sides of one job to be compared."""
    return {**{name: session.conditions.get(name) for name in CONDITIONS}, "data": session.data}


def differences(sessions: Sessions) -> dict[str, dict[str, tuple[Any, ...]]]:
    """In what the two sides differ beside their speed; the first sessions tell."""
    sides = (sessions.base[0], sessions.head[0])
    fields = {
        "spec": differing_fields(flatten(side.spec) for side in sides),
        "engine": differing_fields(side.conditions for side in sides),
        "environment": differing_fields(side.environment.may_differ for side in sides),
        "plugins": differing_fields(providers(side.plugins) for side in sides),
    }
    return {what: found for what, found in fields.items() if found}


def phase_seconds(sessions: Sessions) -> dict[str, tuple[float, float]]:
    """Seconds an image in each phase, of base and of head: medians over the sessions."""
    sides = (sessions.base, sessions.head)
    phases = dict.fromkeys(phase for side in sides for session in side for phase in session.phases)
    return {
        phase: tuple(median(session.phase_seconds.get(phase, 0.0) for session in side) for side in sides)  # type: ignore[misc]
        for phase in phases
    }


def moved_most(sessions: Sessions) -> str:
    """The phase to which most of the lost time went."""
    lost = {phase: after - before for phase, (before, after) in phase_seconds(sessions).items()}
    return max(lost, key=lambda phase: lost[phase])


def clocks_mhz(sessions: Sessions) -> tuple[float, float] | None:
    """The GPU's clock on both sides, medians over the sessions; None where it is not told."""
    sides = [[s.clock_mhz for s in side if s.clock_mhz is not None] for side in (sessions.base, sessions.head)]
    return (median(sides[0]), median(sides[1])) if all(sides) else None
