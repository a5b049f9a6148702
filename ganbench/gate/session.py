"""Sessions: fresh processes in which the gate times one side."""

from __future__ import annotations

from statistics import median
from typing import Any

from pydantic import ValidationError

from ganbench.results.schema import Environment, GPUReading, Memory, PluginRecord, Record

from .side import (
    Code,
    SessionConfig,
    SessionError,
    Side,
    Worker,
)

SETTLED = 1.05  # ratio of rates that are as good as equal
MAX_WARMUP_WINDOWS = 12  # then timing starts even if the rates still vary


class Session(Record):
    """The measurements of one session."""

    images_per_second: list[float]  # of each timed window
    warmup_windows: int  # before the timed windows
    phases: dict[str, float]  # shares of training time
    memory: Memory
    conditions: dict[str, Any]
    environment: Environment
    data: str  # the SHA-256 of its content
    spec: dict[str, Any]
    plugins: list[PluginRecord]
    code: dict[str, Code]  # that ran: ganbench and the plugins it used
    windows: int  # requested
    window_seconds: float  # requested; windows are about this long
    gpu: list[GPUReading | None]  # at the end of each timed window
    disturbed_by: str | None = None  # what took CPU time from it, if so much that its speed is unreliable

    @property
    def seconds_per_image(self) -> float:
        """The cost that the gate compares: that of the median window."""
        return 1 / median(self.images_per_second)

    @property
    def phase_seconds(self) -> dict[str, float]:
        """Seconds per image in each phase."""
        return {phase: share * self.seconds_per_image for phase, share in self.phases.items()}

    @property
    def peak_bytes(self) -> int | None:
        """Peak device memory, or peak host memory when training on the CPU."""
        return self.memory.device_peak_bytes or self.memory.host_peak_rss_bytes

    @property
    def clock_mhz(self) -> float | None:
        """The median GPU clock over the timed windows; None if not reported."""
        clocks = [reading.sm_clock_mhz for reading in self.gpu if reading]
        return median(clocks) if clocks else None


def measure_alone(side: Side, config: SessionConfig) -> Session:
    """Run one session. Raises `SessionError` if it crashes."""
    with side.start("time", config) as worker:
        (session,) = alternate_windows([worker], config)
    return session


def measure_pair(first: Side, second: Side, config: SessionConfig) -> tuple[Session, Session]:
    """Run two sessions interleaved: both processes are alive, and each waits while the other trains one window.

    A disturbance that lasts longer than two windows then affects both equally (after Bulej et al. 2020, "Duet
    benchmarking", doi:10.1145/3358960.3379132, which runs both at once). With `config.interleaved` off, run one after
    the other. Raises `SessionError` if one crashes.
    """
    if not config.interleaved:
        return measure_alone(first, config), measure_alone(second, config)
    with first.start("time", config) as one, second.start("time", config) as other:
        session, partner = alternate_windows([one, other], config)
    return session, partner


def alternate_windows(workers: list[Worker], config: SessionConfig) -> list[Session]:
    """Train the workers alternately, window by window: warm up until all rates settle, then time the windows."""
    for worker in workers:
        worker.answer()  # started, and trained its first window, which is discarded
    rates: list[list[float]] = [[] for _ in workers]

    def train_window_each() -> None:
        order = list(zip(workers, rates, strict=True))
        for worker, seen in reversed(order) if len(rates[0]) % 2 else order:  # AB, BA, AB: linear drift cancels
            worker.request_window()
            seen.append(worker.answer())

    while not all(map(has_settled, rates)):
        train_window_each()
    warmup_windows = len(rates[0])
    for _ in range(config.windows):
        train_window_each()
    for worker in workers:
        worker.end()
    return [session_of(worker, config, warmup_windows) for worker in workers]


def has_settled(rates: list[float]) -> bool:
    """Return whether the last three rates show no trend, though they may be noisy: a pair averages noise."""
    if len(rates) < 3:
        return False
    first, second, third = rates[-3:]
    is_trend = (first < second < third or first > second > third) and max(first, third) / min(first, third) > SETTLED
    return not is_trend or len(rates) >= MAX_WARMUP_WINDOWS


def session_of(worker: Worker, config: SessionConfig, warmup_windows: int) -> Session:
    """Build the session from a worker's final reply, keeping the timed windows only."""
    reply = worker.last_answer()
    settings = {"windows": config.windows, "window_seconds": config.window_seconds}
    try:
        for series in ("images_per_second", "gpu"):
            reply[series] = reply[series][1 + warmup_windows :]  # the first window precedes the warm-up
        session = Session.model_validate({**reply, **settings, "warmup_windows": warmup_windows})
    except (ValidationError, KeyError, TypeError) as error:
        raise SessionError(f"a session of {worker.side.name} sent an invalid reply: {error}") from None
    worker.side.require_own(session.code)
    return session
