"""Interleaving of two sessions, with fake workers that record the requests."""

from __future__ import annotations

from typing import Any

import pytest

from ganbench.gate.session import (
    MAX_WARMUP_WINDOWS,
    MIN_WINDOWS,
    alternate_windows,
    has_settled,
    measure_pair,
    number_of_windows,
)
from ganbench.gate.side import SessionConfig, Side

REPLY: dict[str, Any] = {
    "phases": {},
    "memory": {"device_peak_bytes": None, "host_peak_rss_bytes": None},
    "conditions": {},
    "environment": {"must_match": {}, "may_differ": {}},
    "data": "0",
    "spec": {},
    "plugins": [],
    "code": {},
}


class FakeWorker:
    """Replies with the given rates, and records requests in a shared list."""

    def __init__(self, name: str, rates: list[float], asked: list[str]) -> None:
        self.name, self.rates, self.asked, self.turn = name, rates, asked, 0
        self.side = Side(name)

    def go_on(self) -> None:
        self.asked.append(self.name)
        self.turn += 1

    def answer(self) -> float:
        return self.rates[self.turn]

    def end(self) -> None:
        self.asked.append(f"end {self.name}")

    def last_answer(self) -> dict[str, Any]:
        seen = self.rates[: self.turn + 1]
        return {**REPLY, "images_per_second": seen, "gpu": [None for _ in seen]}


def test_windows_alternate_and_timing_starts_when_both_have_settled() -> None:
    asked: list[str] = []
    quick = FakeWorker("A", [1.0, 10.0, 10.0, 10.0, 10.0, 11.0, 12.0], asked)
    slow_to_settle = FakeWorker("B", [1.0, 5.0, 8.0, 9.0, 9.0, 9.1, 9.2], asked)
    first, second = alternate_windows([quick, slow_to_settle], SessionConfig("any", windows=2))  # type: ignore[list-item]
    assert asked == [*"AB", *"BA", *"AB", *"BA", *"AB", *"BA", "end A", "end B"]  # linear drift cancels
    assert first.warmup_windows == second.warmup_windows == 4
    assert first.images_per_second == [11.0, 12.0]
    assert second.images_per_second == [9.1, 9.2]


def test_warm_up_lasts_while_the_rates_rise_or_fall() -> None:
    assert not has_settled([1.0, 2.0])
    assert not has_settled([9.0, 1.0, 1.02, 1.1])
    assert not has_settled([1.1, 1.02, 1.0])
    assert has_settled([1.0, 1.02, 1.04])  # too little to matter
    assert has_settled([1.0, 1.2, 1.1])  # noise


def test_warm_up_ends_even_if_the_rates_do_not_settle() -> None:
    rising = [1.1**window for window in range(MAX_WARMUP_WINDOWS)]
    assert not has_settled(rising[:-1])
    assert has_settled(rising)


def test_fewer_windows_are_timed_if_they_take_much_longer_than_requested() -> None:
    config = SessionConfig("any", windows=20, window_seconds=0.25)
    counts = {seconds: number_of_windows(config, seconds) for seconds in (1e-9, 0.25, 0.5, 1.0, 4.0, 1e9)}
    assert counts == {1e-9: 20, 0.25: 20, 0.5: 20, 1.0: 10, 4.0: MIN_WINDOWS, 1e9: MIN_WINDOWS}
    assert number_of_windows(SessionConfig("any", windows=2), seconds=4.0) == 2  # as requested


def test_sessions_that_run_one_after_another_time_equally_many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow(FakeWorker):
        def __init__(self, name: str, seconds: float) -> None:
            super().__init__(name, [1.0] * 100, [])
            self.seconds = seconds

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def answer(self) -> float:
            nonlocal now
            now += self.seconds
            return super().answer()

    class SlowSide(Side):
        def start(self, *_: Any, **__: Any) -> Any:
            return Slow(self.name, seconds=float(self.name))

    monkeypatch.setattr("ganbench.gate.session.perf_counter", lambda: now)
    config = SessionConfig("any", windows=20, window_seconds=0.25, interleaved=False)
    first, second = measure_pair(SlowSide("0.6"), SlowSide("0.9"), config)
    assert len(first.images_per_second) == len(second.images_per_second) == 17
