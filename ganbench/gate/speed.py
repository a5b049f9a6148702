"""Check speed and memory: pairs of sessions of both sides, or fresh sessions against stored ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean, median
from time import perf_counter
from typing import Any

from ganbench.errors import NotComparableError
from ganbench.reporting.formatting import duration, mebibytes
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.schema import providers
from ganbench.spec.benchmark import GateOptions

from .looks import SINGLE_LOOK, Look, looks
from .session import Session, measure_alone, measure_pair
from .side import Code, SessionConfig, Side
from .statistics import Estimate, paired, predicted
from .verdict import NOISE_FLOOR, Decision, Finding, Threshold, Verdict

ORDERS = ("ABBA", "BAAB")

# must be equal on both sides of one job; engine and spec may be what was changed
CONDITIONS = ("device", "device_count", "device_memory_bytes", "threads", "precision", "batch_size")


@dataclass(frozen=True)
class Sessions:
    """The sessions of both sides: either pairs, or two independent lists."""

    base: list[Session]
    head: list[Session]
    in_pairs: bool
    look: Look = SINGLE_LOOK  # at which the measurement ended

    @property
    def log_ratios(self) -> list[float]:
        """For each pair, the median over its windows of log(cost of head / cost of base)."""
        return [log_ratio(*pair) for pair in zip(self.base, self.head, strict=True)]

    def estimate(self) -> Estimate:
        """Estimate how much slower head is."""
        if self.in_pairs:
            return paired(self.log_ratios)
        return predicted(*([session.seconds_per_image for session in side] for side in (self.base, self.head)))

    def decide(self, threshold: Threshold, level: float) -> Decision:
        """Decide whether head is slower; `level` is the significance level of a single look."""
        return self.look.decide(self.estimate(), threshold, level)


def log_ratio(base: Session, head: Session) -> float:
    windows = zip(base.images_per_second, head.images_per_second, strict=True)
    return median(math.log(base_rate / head_rate) for base_rate, head_rate in windows)


def measure_interleaved(
    base: Side,
    head: Side,
    config: SessionConfig,
    threshold: Callable[[Session], Threshold],
    level: float,
    max_blocks: int,
    order: random.Random,
    log: Callable[[str], None],
) -> Sessions:
    """Measure blocks of both sides until a look is conclusive, at most `max_blocks`.

    `threshold` is called with the first session. `level` must be that of the final verdict, so that the final verdict
    agrees with the look that ended the measurement. Raises as `measure_blocks` does.
    """
    sessions, measured = Sessions(base=[], head=[], in_pairs=True), 0
    for look in looks(max_blocks):
        sessions = replace(sessions, look=look)
        measure_blocks(sessions, base, head, config, range(measured, look.blocks), max_blocks, order, log)
        measured = look.blocks
        if sessions.decide(threshold(sessions.base[0]), level).verdict != Verdict.INCONCLUSIVE:
            break
    return sessions


def measure_blocks(
    sessions: Sessions,
    base: Side,
    head: Side,
    config: SessionConfig,
    blocks: range,
    max_blocks: int,
    order: random.Random,
    log: Callable[[str], None],
) -> None:
    """Append blocks of two pairs in random order, ABBA or BAAB, where A is base and B is head.

    `blocks` has the indices of the blocks to measure, out of at most `max_blocks`. Log each pair, with an estimate of
    the time left. Raises `NotComparableError` if the sides ran under different conditions, and `SessionError` if a
    session crashed.
    """
    start = perf_counter()
    for block in blocks:
        letters = order.choice(ORDERS)
        for pair in (letters[:2], letters[2:]):
            first, second = (base if side == "A" else head for side in pair)
            measured = measure_pair(first, second, config)
            for side, session in zip(pair, measured, strict=True):
                (sessions.base if side == "A" else sessions.head).append(session)
            require_comparable(sessions)
            where = f"block {block + 1} of at most {max_blocks}, {pair}"
            log(f"{where}: {format_pair(sessions.base[-1], sessions.head[-1])}")
        if block + 1 < blocks.stop:
            left = (perf_counter() - start) / (block + 1 - blocks.start) * (blocks.stop - block - 1)
            log(f"next evaluation in about {duration(left)}")


def format_pair(base: Session, head: Session) -> str:
    rates = f"{1 / base.seconds_per_image:,.1f} and {1 / head.seconds_per_image:,.1f} images/s"
    return f"{rates}, {math.expm1(log_ratio(base, head)):+.1%} time per image"


def measure_fresh(
    side: Side,
    config: SessionConfig,
    count: int,
    log: Callable[[str], None],
    check: Callable[[Session], None] = lambda _: None,
) -> list[Session]:
    """Run sessions one after another. An exception from `check` ends the measurement."""
    sessions: list[Session] = []
    for number in range(1, count + 1):
        session = measure_alone(side, config)
        check(session)
        sessions.append(session)
        disturbance = f", disturbed: {session.disturbed_by}" if session.disturbed_by else ""
        log(f"session {number}/{count}: {1 / session.seconds_per_image:,.1f} images/s{disturbance}")
    return sessions


def throughput_finding(sessions: Sessions, decision: Decision, threshold: Threshold) -> Finding:
    """Return the finding on speed; a regression names the phase that lost most time."""
    base, head = (
        f"{median(1 / session.seconds_per_image for session in side):,.0f} images/s"
        for side in (sessions.base, sessions.head)
    )
    message = decision_message("throughput", " in time per image", decision)
    if decision.verdict == Verdict.REGRESSED:
        message += f"; most of the slowdown is in the {most_slowed_phase(sessions)} phase"
    if threshold.noise_floor > max(threshold.margin, NOISE_FLOOR):
        floor = f"{threshold.noise_floor:.1%}"
        message += f"; slowdowns below the calibrated noise floor of {floor} are not flagged: calibrate again"
    return Finding(decision.verdict, (base, head), message, decision)


def rare_slowdown_finding(sessions: Sessions, decision: Decision, threshold: Threshold, level: float) -> Finding | None:
    """Return a warning if head is slower on average, though not in the median window, on which `decision` is.

    Then something slow happens in a few windows only, such as the start of an epoch. A disturbance can cause that as
    well, so the mean must meet the same evidence as the median, and their difference must be clear.
    """
    if decision.verdict == Verdict.REGRESSED or not sessions.in_pairs:
        return None
    pairs = list(zip(sessions.base, sessions.head, strict=True))
    of_mean = sessions.look.decide(paired([mean_log_ratio(*pair) for pair in pairs]), threshold, level)
    difference = paired([mean_log_ratio(*pair) - log_ratio(*pair) for pair in pairs])
    is_clear = difference.lower(level * sessions.look.share) > math.log1p(threshold.noise_floor)
    if of_mean.verdict != Verdict.REGRESSED or not is_clear:
        return None
    base, head = (
        f"{1 / mean(map(mean_seconds_per_image, side)):,.0f} images/s" for side in (sessions.base, sessions.head)
    )
    message = decision_message("mean throughput", " in time per image", of_mean)
    message += ". The median window does not show it, so something slow happens in a few windows"
    return Finding(Verdict.WARNING, (base, head), message, of_mean)


def mean_log_ratio(base: Session, head: Session) -> float:
    return math.log(mean_seconds_per_image(head) / mean_seconds_per_image(base))


def mean_seconds_per_image(session: Session) -> float:
    return mean(1 / rate for rate in session.images_per_second)


def decision_message(name: str, unit: str, decision: Decision) -> str:
    """Describe a decision on a quantity."""
    change = f"{'better' if decision.effect < 0 else 'worse'} by {abs(decision.effect):.1%}{unit}"
    bounds = f"bounds {decision.lower:+.1%} to {decision.upper:+.1%}"
    noisy = "too noisy to decide; " if decision.verdict == Verdict.INCONCLUSIVE else ""
    detectable = f"minimum detectable effect {decision.minimum_detectable_effect:.1%}"
    return f"{name} is {change} ({bounds}); {noisy}{detectable}"


def memory_finding(sessions: Sessions, margins: GateOptions) -> Finding | None:
    """Return the finding on peak memory; None if it is not reported.

    Peak memory hardly varies: it is worse if every session of head needs more than every session of base.
    """
    base, head = (
        [session.peak_bytes for session in side if session.peak_bytes is not None]
        for side in (sessions.base, sessions.head)
    )
    if not base or not head:
        return None
    base_peak, head_peak = max(base), min(head)
    worse = head_peak - base_peak > max(margins.memory_mib * 2**20, margins.memory_percent / 100 * base_peak)
    sides = (mebibytes(base_peak), mebibytes(head_peak))
    message = f"peak memory: base needs up to {sides[0]}, head at least {sides[1]}"
    return Finding(Verdict.REGRESSED if worse else Verdict.PASS, sides, message)


def require_comparable(sessions: Sessions) -> None:
    """Raise `NotComparableError` if conditions differ, or if the code of a side has changed."""
    fields = differing_fields(conditions(session) for session in [*sessions.base, *sessions.head])
    if fields:
        differing = "; ".join(
            f"{name}: {', '.join(map(str, dict.fromkeys(values)))}" for name, values in fields.items()
        )
        raise NotComparableError(
            f"the two sides ran under different conditions, so their speeds are not comparable: {differing}"
        )
    require_unchanged([session.code for session in sessions.base])
    require_unchanged([session.code for session in sessions.head])


def require_unchanged(codes: list[dict[str, Code]]) -> None:
    """Raise `NotComparableError` if the code of one side differs between its sessions."""
    if fields := differing_fields(codes):
        raise NotComparableError(f"the code changed during the check: {', '.join(fields)}; run it again")


def conditions(session: Session) -> dict[str, Any]:
    """Return the conditions that must be equal on both sides of one job."""
    return {**{name: session.conditions.get(name) for name in CONDITIONS}, "data": session.data}


def differences(sessions: Sessions) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return the fields that differ between the first sessions of both sides."""
    sides = (sessions.base[0], sessions.head[0])
    fields = {
        "spec": differing_fields(flatten(side.spec) for side in sides),
        "engine": differing_fields(side.conditions for side in sides),
        "environment": differing_fields(side.environment.may_differ for side in sides),
        "plugins": differing_fields(providers(side.plugins) for side in sides),
    }
    return {what: found for what, found in fields.items() if found}


def phase_seconds(sessions: Sessions) -> dict[str, tuple[float, float]]:
    """Return the seconds per image in each phase, of base and head: medians over sessions."""
    sides = (sessions.base, sessions.head)
    phases = dict.fromkeys(phase for side in sides for session in side for phase in session.phases)
    return {
        phase: tuple(median(session.phase_seconds.get(phase, 0.0) for session in side) for side in sides)  # type: ignore[misc]
        for phase in phases
    }


def most_slowed_phase(sessions: Sessions) -> str:
    """Return the phase that lost most time."""
    lost = {phase: after - before for phase, (before, after) in phase_seconds(sessions).items()}
    return max(lost, key=lambda phase: lost[phase])


def clocks_mhz(sessions: Sessions) -> tuple[float, float] | None:
    """Return the GPU clock of both sides, as medians over sessions; None if not reported."""
    sides = [[s.clock_mhz for s in side if s.clock_mhz is not None] for side in (sessions.base, sessions.head)]
    return (median(sides[0]), median(sides[1])) if all(sides) else None
