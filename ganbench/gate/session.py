"""Sessions: fresh processes in which the gate times one side."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

from pydantic import Field, ValidationError

from ganbench.results.record import Record
from ganbench.results.schema import Environment, PluginRecord
from ganbench.results.throughput import GPUReading, Memory

from .side import (
    Code,
    SessionConfig,
    SessionError,
    Side,
    Worker,
)

SETTLED = 1.05  # ratio of rates that are as good as equal
MAX_WARMUP_WINDOWS = 12  # then timing starts even if the rates still vary
MIN_WINDOWS = 5  # if windows take much longer than requested: a step, or a period of lazy penalties, takes so long


class Session(Record):
    """The measurements of one session."""

    images_per_second: list[float] = Field(description="throughput of each timed window, in images/s")
    warmup_windows: int = Field(description="windows before the timed ones, until the throughput had settled")
    phases: dict[str, float] = Field(
        description="fraction of training time for data, discriminator and generator, 0 to 1"
    )
    memory: Memory = Field(description="the most memory that training used")
    conditions: dict[str, Any] = Field(description="what must be equal to compare speed, as in result.json")
    environment: Environment = Field(description="where the session took place")
    data: str = Field(description="SHA-256 of the content of the data")
    spec: dict[str, Any] = Field(description="the resolved spec")
    plugins: list[PluginRecord] = Field(description="all plugins that were used")
    code: dict[str, Code] = Field(description="the code that ran, by package: ganbench and the plugins it used")
    windows: int = Field(description="number of timed windows that was requested; fewer were timed if they took long")
    window_seconds: float = Field(description="approximate length of a window that was requested, in seconds")
    gpu: list[GPUReading | None] = Field(
        description="state of the GPU at the end of each timed window; null on a CPU, or if not reported"
    )
    disturbed_by: str | None = Field(
        None, description="what took CPU time from it, if so much that its speed is unreliable; null otherwise"
    )

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


def measure_alone(side: Side, config: SessionConfig, windows: int | None = None) -> Session:
    """Run one session, by default with as many windows as `number_of_windows` says.

    Raises `SessionError` if it crashes.
    """
    with side.start("time", config) as worker:
        (session,) = alternate_windows([worker], config, windows)
    return session


def measure_pair(first: Side, second: Side, config: SessionConfig) -> tuple[Session, Session]:
    """Run two sessions interleaved: both processes are alive, and each waits while the other trains one window.

    A disturbance that lasts longer than two windows then affects both equally (after Bulej et al. 2020, "Duet
    benchmarking", doi:10.1145/3358960.3379132, which runs both at once). With `config.interleaved` off, run one after
    the other. Raises `SessionError` if one crashes.
    """
    if not config.interleaved:
        session = measure_alone(first, config)
        return session, measure_alone(second, config, windows=len(session.images_per_second))
    with first.start("time", config) as one, second.start("time", config) as other:
        session, partner = alternate_windows([one, other], config)
    return session, partner


def alternate_windows(workers: list[Worker], config: SessionConfig, windows: int | None = None) -> list[Session]:
    """Train the workers alternately, window by window: warm up until all rates settle, then time the windows.

    By default, these are as many as `number_of_windows` says.
    """
    for worker in workers:
        worker.answer()  # started, and trained its first window, which is discarded
    rates: list[list[float]] = [[] for _ in workers]

    def train_window_each() -> float:
        start, order = perf_counter(), list(zip(workers, rates, strict=True))
        for worker, seen in reversed(order) if len(rates[0]) % 2 else order:  # AB, BA, AB: linear drift cancels
            worker.go_on()
            seen.append(worker.answer())
        return (perf_counter() - start) / len(workers)

    lengths: list[float] = []
    while not all(map(has_settled, rates)):
        lengths.append(train_window_each())
    warmup_windows = len(rates[0])
    for _ in range(windows or number_of_windows(config, median(lengths))):
        train_window_each()
    for worker in workers:
        worker.end()
    return [session_of(worker, config, warmup_windows) for worker in workers]


def number_of_windows(config: SessionConfig, seconds: float) -> int:
    """Return how many windows of this length to time: fewer than requested if they take over twice as long in all."""
    affordable = round(2 * config.windows * config.window_seconds / seconds)
    return min(config.windows, max(MIN_WINDOWS, affordable))


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
