"""Measure sessions: pairs of both sides until a look is conclusive, or fresh ones of one side."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

from ganbench.errors import NotComparableError
from ganbench.reporting.formatting import duration
from ganbench.results.differences import differing_fields

from .decision.looks import SINGLE_LOOK, Look, looks
from .decision.statistics import Estimate, paired, predicted
from .decision.verdict import Decision, Threshold, Verdict
from .session import Session, measure_alone, measure_pair
from .side import Code, SessionConfig, Side

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
