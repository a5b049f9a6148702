"""Sessions: one fresh process each, in which a side of the gate is timed."""

from __future__ import annotations

from statistics import median
from typing import Any

from pydantic import ValidationError

from ganbench.results.schema import Environment, GPUReading, Memory, PluginRecord, Record

from .arm import (
    Arm,
    Code,
    Measurement,
    SessionError,
    Worker,
)

SETTLED_SPREAD = 0.05  # the last three windows lie this near to one another, relatively
MOST_WARMUP_WINDOWS = 12  # a machine that does not settle by then is timed as it is


class Session(Record):
    """What one session saw."""

    images_per_second: list[float]  # of each timed window
    settled_after: int  # windows of warm-up before them
    phases: dict[str, float]  # shares of training time
    memory: Memory
    conditions: dict[str, Any]
    environment: Environment
    data: str  # the SHA-256 of its content
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    code: dict[str, Code]  # that ran: ganbench and the plugins in use
    windows: int  # that were asked for
    window_seconds: float  # likewise; about how long each was
    gpu: list[GPUReading | None]  # at the end of each timed window

    @property
    def seconds_per_image(self) -> float:
        """The cost that is compared: of the median window."""
        return 1 / median(self.images_per_second)

    @property
    def phase_seconds(self) -> dict[str, float]:
        """Seconds an image in each phase."""
        return {phase: share * self.seconds_per_image for phase, share in self.phases.items()}

    @property
    def peak_bytes(self) -> int | None:
        """On the device, or on the host where training runs there."""
        return self.memory.device_peak_bytes or self.memory.host_peak_rss_bytes

    @property
    def clock_mhz(self) -> float | None:
        """The GPU's clock in the timed windows; None where it is not told."""
        told = [reading.sm_clock_mhz for reading in self.gpu if reading]
        return median(told) if told else None


def measure_alone(arm: Arm, measurement: Measurement) -> Session:
    """A session by itself. Raises `SessionError` if it crashes."""
    with arm.start("time", measurement) as worker:
        (session,) = take_turns([worker], measurement)
    return session


def measure_pair(first: Arm, second: Arm, measurement: Measurement) -> tuple[Session, Session]:
    """Two sessions next to each other: alive together, each waiting while the other trains a window.

    What slows the machine for longer than two windows hits both alike (the idea of Bulej et al. 2020, "Duet
    benchmarking", doi:10.1145/3358960.3379132, which runs both at once). Where two do not fit on the device, one after
    the other. Raises `SessionError` if one crashes.
    """
    if not measurement.in_turns:
        return measure_alone(first, measurement), measure_alone(second, measurement)
    with first.start("time", measurement) as one, second.start("time", measurement) as other:
        session, its_partner = take_turns([one, other], measurement)
    return session, its_partner


def take_turns(workers: list[Worker], measurement: Measurement) -> list[Session]:
    """Let the workers train window by window, in turn, until all have settled; then time as many as are wanted."""
    for worker in workers:
        worker.answer()  # it has started up, and trained the window that nobody waited for
    rates: list[list[float]] = [[] for _ in workers]

    def take_a_round() -> None:
        order = list(zip(workers, rates, strict=True))
        for worker, seen in reversed(order) if len(rates[0]) % 2 else order:  # AB, BA, AB: a steady drift cancels
            worker.go_on()
            seen.append(worker.answer())

    while not all(map(has_settled, rates)):
        take_a_round()
    settled_after = len(rates[0])
    for _ in range(measurement.windows):
        take_a_round()
    for worker in workers:
        worker.end()
    return [session_of(worker, measurement, settled_after) for worker in workers]


def has_settled(rates: list[float]) -> bool:
    last = rates[-3:]
    return len(rates) >= MOST_WARMUP_WINDOWS or (len(last) == 3 and max(last) / min(last) - 1 < SETTLED_SPREAD)


def session_of(worker: Worker, measurement: Measurement, settled_after: int) -> Session:
    """What a worker tells in the end, of the windows that count."""
    told = worker.last_answer()
    settings = {"windows": measurement.windows, "window_seconds": measurement.window_seconds}
    try:
        for series in ("images_per_second", "gpu"):
            told[series] = told[series][1 + settled_after :]  # the first is the one before any turn
        session = Session.model_validate({**told, **settings, "settled_after": settled_after})
    except (ValidationError, KeyError, TypeError) as error:
        raise SessionError(f"a session of {worker.arm.name} told what cannot be read: {error}") from None
    worker.arm.need_own(session.code)
    return session
