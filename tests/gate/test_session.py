"""How two sessions take turns, with workers that only tell which of them was asked."""

from __future__ import annotations

from typing import Any

from ganbench.gate.session import MOST_WARMUP_WINDOWS, has_settled, take_turns
from ganbench.gate.side import Arm, Measurement

TOLD: dict[str, Any] = {
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
    """Answers with the rates that it was given, and writes into a list that all share when it is asked."""

    def __init__(self, name: str, rates: list[float], asked: list[str]) -> None:
        self.name, self.rates, self.asked, self.turn = name, rates, asked, 0
        self.arm = Arm(name)

    def go_on(self) -> None:
        self.asked.append(self.name)
        self.turn += 1

    def answer(self) -> float:
        return self.rates[self.turn]

    def end(self) -> None:
        self.asked.append(f"end {self.name}")

    def last_answer(self) -> dict[str, Any]:
        seen = self.rates[: self.turn + 1]
        return {**TOLD, "images_per_second": seen, "gpu": [None for _ in seen]}


def test_turns_alternate_and_both_have_settled_before_any_counts() -> None:
    asked: list[str] = []
    quick = FakeWorker("A", [1.0, 10.0, 10.0, 10.0, 10.0, 11.0, 12.0], asked)
    slow_to_settle = FakeWorker("B", [1.0, 5.0, 9.0, 9.0, 9.0, 9.1, 9.2], asked)
    first, second = take_turns([quick, slow_to_settle], Measurement("any", windows=2))  # type: ignore[list-item]
    assert asked == [*"AB", *"BA", *"AB", *"BA", *"AB", *"BA", "end A", "end B"]  # a steady drift cancels
    assert first.settled_after == second.settled_after == 4
    assert first.images_per_second == [11.0, 12.0]
    assert second.images_per_second == [9.1, 9.2]


def test_a_machine_that_does_not_settle_is_timed_as_it_is() -> None:
    restless = [1.0, 2.0] * MOST_WARMUP_WINDOWS
    assert not has_settled(restless[: MOST_WARMUP_WINDOWS - 1])
    assert has_settled(restless[:MOST_WARMUP_WINDOWS])
