"""How the gate joins the windows of a run to windows of its own."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ganbench.gate.worker.windows import LONGEST_PERIOD, Windows


def steps_of(windows: Windows, run: Iterable[int]) -> list[range]:
    """Feed windows of a run, each with this number of steps of one second; return the steps in each of the gate's."""
    ends = [0]
    for steps in run:
        ends.append(ends[-1] + steps)
        rate = windows.add(ends[-1], images=64.0 * steps, seconds=float(steps))
        assert rate in (None, 64.0)
    return [range(ends[each.start], ends[each.stop]) for each in windows.complete]


def test_a_window_is_as_long_as_requested_or_longer() -> None:
    assert steps_of(Windows(seconds=4), [2, 2, 1, 1, 1, 9]) == [range(4), range(4, 7), range(7, 16)]


@pytest.mark.parametrize("run", [[1] * 100, [3] * 40, [16, 16, 16], [10, 6, 31, 17]])
def test_a_window_has_whole_periods(run: list[int]) -> None:
    found = steps_of(Windows(seconds=2, period=16), run)
    assert found
    assert all(steps.start % 16 == steps.stop % 16 == 0 for steps in found)


@pytest.mark.parametrize("run", [[391] * 4, [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2] * 40])
def test_a_window_has_many_periods_if_those_of_the_run_never_end_together_with_one(run: list[int]) -> None:
    found = steps_of(Windows(seconds=2, period=16), run)
    assert len(found) > 1
    assert all(len(steps) % 16 == 0 or 16 * 16 <= len(steps) < 16 * 16 + max(run) for steps in found)


def test_a_long_period_is_not_awaited() -> None:
    found = steps_of(Windows(seconds=2, period=1000), [10] * 30)
    assert [len(steps) for steps in found] == [LONGEST_PERIOD // 10 * 10 + 10] * 4


def test_batches_that_were_prefetched_in_a_pause_are_not_timed() -> None:
    windows, in_periods = Windows(seconds=2), Windows(seconds=2, period=4)
    windows.prefetched = in_periods.prefetched = 5
    found = steps_of(windows, [2] * 30)
    assert found[:3] == [range(2), range(8, 10), range(16, 18)]  # 2 + 5 is within a window
    assert steps_of(in_periods, [2] * 30)[:3] == [range(4), range(12, 16), range(24, 28)]
