"""The live view of a run on a terminal: curves, scores, what comes next, and a terminal that is left as it was."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import statistics
import sys
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from stored_result import result, row

from ganbench.errors import ExitCode
from ganbench.plugin.callbacks import Progress, RunInfo, UpcomingEvent
from ganbench.plugin.registry import Registry
from ganbench.reporting.console import SafeConsole
from ganbench.reporting.display import terminal_display
from ganbench.reporting.terminal import live
from ganbench.reporting.terminal.curve import MAX_POINTS, Curve, sparkline
from ganbench.reporting.terminal.lines import LineDisplay
from ganbench.reporting.terminal.live import LiveDisplay
from ganbench.reporting.terminal.view import RunView
from ganbench.results.schema import MetricPoint
from ganbench.spec.loading import load_spec

LABEL = "FID (fashion-cnn)"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor


@pytest.mark.parametrize(
    ("points", "width", "line"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([3, 3, 1, 1, 2, 2], 3, "█▁▅"),  # means of two
        ([1, 5], 60, "▁█"),  # no wider than the series
        ([5, 5, 5], 60, "▄▄▄"),
        ([1e-9 + 5, 5], 60, "▄▄"),  # noise of rounding
        ([-1e300, 1e300], 2, "▁█"),
        ([], 60, ""),
    ],
)
def test_a_series_is_drawn_between_its_extremes(points: list[float], width: int, line: str) -> None:
    assert sparkline(points, width) == line


def test_a_curve_of_any_length_has_a_bounded_number_of_means() -> None:
    curve, values = Curve(), [float(n % 7) + n / 1000 for n in range(100_003)]
    for value in values:
        curve.add(value)
    assert MAX_POINTS / 2 <= len(curve.points) <= MAX_POINTS
    size = 512  # of the stretches, after nine times of merging neighbors
    assert curve.points[:-1] == pytest.approx(
        [statistics.fmean(values[start : start + size]) for start in range(0, len(values) - size, size)]
    )
    assert curve.points[-1] == pytest.approx(statistics.fmean(values[len(values) // size * size :]))
    assert curve.latest == values[-1]


def test_values_that_are_not_finite_are_no_part_of_a_curve() -> None:
    curve = Curve()
    for value in (1.0, float("nan"), float("inf"), 2.0):
        curve.add(value)
    assert curve.points == [1.0, 2.0]


@pytest.fixture
def info(registry: Registry) -> RunInfo:
    spec = load_spec("dcgan-fashion", registry)
    parameters = {"generator": 2, "discriminator": 1}
    return RunInfo(spec.to_dict(), "cpu", "a CPU", result().data, parameters, 79, 3950, "fp32")


def progress(step: int, **changes: Any) -> Progress:
    losses = {"d_loss": 1.5 - step / 100, "g_loss": 1.0 + step / 10, "real_score": 0.7}
    upcoming = (
        UpcomingEvent("checkpoint", 50.0),
        UpcomingEvent("score fid, kid", 180.0, 10.0),
        UpcomingEvent("sample images", 180.0, 10.0),
    )
    return replace(Progress(3, step, 3950, losses, 512.0, 4000.0, images=64 * step, upcoming=upcoming), **changes)


def filled_view(info: RunInfo, **changes: Any) -> RunView:
    view = RunView(info)
    for step in range(1, 101):
        view.add_progress(progress(step, **changes))
    for epoch, value in enumerate([30.0, 8.0, 9.0]):
        point = MetricPoint(epoch=epoch, images=epoch, value=value)
        view.add_score(LABEL, point)
        if epoch == 1:
            view.best[LABEL] = point
    return view


def drawn(view: RunView, width: int = 100, height: int = 40, **options: Any) -> str:
    console = SafeConsole(file=io.StringIO(), width=width, height=height, force_terminal=True, **options)
    console.print(view)
    return re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())


def test_the_view_has_curves_the_latest_and_the_best_score_and_what_comes_next(info: RunInfo) -> None:
    first, d_loss, g_loss, speed, monitor, score, upcoming = drawn(filled_view(info)).splitlines()
    assert first.startswith("epoch 3 of 50")
    assert first.rstrip().endswith("3%  67 min left")
    assert re.fullmatch(r"D Loss +0\.5000  █[▁-█]+▁  0\.5000 to 1\.4900 *", d_loss)
    assert re.fullmatch(r"G Loss +11\.0000  ▁[▁-█]+█  1\.1000 to 11\.0000 *", g_loss)
    assert re.fullmatch(r"Images/s +512  ▄+  512 to 512 *", speed)
    assert monitor.startswith("Real Score")
    assert re.fullmatch(r"FID \(fashion-cnn\) +9\.0000  █▁▁ +best 8\.0000 \(epoch 1\) *", score)
    assert upcoming.strip() == (
        "next: checkpoint in about 50 s; score fid, kid, sample images at epoch 10 in about 3 min"
    )


def test_the_epoch_of_the_best_score_of_a_long_run_is_whole(info: RunInfo) -> None:
    view = filled_view(info)
    view.best[LABEL] = MetricPoint(epoch=1034, images=1, value=8.0)
    assert "best 8.0000 (epoch 1,034)" in drawn(view)


def test_events_at_the_end_of_training_say_so(info: RunInfo) -> None:
    upcoming = (UpcomingEvent("score fid", 60.0), UpcomingEvent("sample images", 60.0))
    text = drawn(filled_view(info, seconds_left=60.0, upcoming=upcoming))
    assert "next: score fid, sample images at the end, in about 60 s" in text


def test_a_long_name_is_wrapped_so_that_curves_remain(info: RunInfo) -> None:
    view = filled_view(info)
    view.add_score("distance to the solution", MetricPoint(epoch=0, images=0, value=0.6667))
    text = drawn(view, width=60)
    assert re.search(r"D Loss +0\.5000  █[▁-█]{10,}▁  0\.5000 to 1\.4900", text)
    assert re.search(r"distance to the +0\.6667.*\nsolution", text)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [10, 24])
def test_the_view_fits_the_terminal(width: int, height: int, info: RunInfo) -> None:
    text = drawn(filled_view(info), width, height)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) < height or width < 60
    for value in ("0.5000", "11.0000", "9.0000", "8.0000"):
        assert value in text
    assert "…" not in text


def test_a_network_that_does_not_train_has_no_loss_in_the_view(info: RunInfo) -> None:
    text = drawn(filled_view(replace(info, parameters={"generator": 2, "discriminator": 0})))
    assert "D Loss" not in text
    assert "G Loss" in text


def test_an_ascii_terminal_gets_numbers_without_curves(info: RunInfo) -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    console = SafeConsole(file=Ascii(), width=100, height=40, force_terminal=True, color_system=None)
    console.print(filled_view(info))
    assert console.file.getvalue().isascii()
    assert "0.5000 to 1.4900" in console.file.getvalue()


def console_of(width: int = 100, **options: Any) -> Console:
    return SafeConsole(file=io.StringIO(), width=width, height=40, force_terminal=True, color_system=None, **options)


def run_on(console: Console, info: RunInfo, windows: int) -> str:
    display = terminal_display(console)
    display.on_status("loading data")
    display.on_run_start(info)
    display.on_score(LABEL, MetricPoint(epoch=0, images=0, value=300.0))
    for step in range(1, windows + 1):
        display.on_window_end(progress(step))
        display.on_epoch_end(row(step))
    display.on_status("evaluating")
    display.on_score(LABEL, MetricPoint(epoch=1, images=5000, value=4.5))
    display.on_best(LABEL, MetricPoint(epoch=1, images=5000, value=4.5))
    display.on_run_end(result())
    display.stop()
    return console.file.getvalue()


def test_many_short_windows_are_drawn_a_few_times_and_the_last_view_stays(
    info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFRESH_SECONDS", 1000.0)
    text = run_on(console_of(), info, windows=500)
    assert text.count("D Loss") == 3  # the first window, "evaluating ...", and the end
    assert "evaluating ..." in text
    last = text[text.rindex("epoch 3 of 50") :]
    assert re.search(r"completed *\n", last)
    assert "next:" not in last
    assert re.search(r"4\.5000 .* best", last)


def test_the_cursor_is_shown_again(info: RunInfo) -> None:
    text = run_on(console_of(), info, windows=3)
    assert text.rindex(SHOW) > text.rindex(HIDE) > text.index("loading data")


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_the_cursor_gets_lines(term: str, info: RunInfo) -> None:
    console = console_of(_environ={"TERM": term})
    assert type(terminal_display(console)) is LineDisplay
    text = run_on(console, info, windows=3)
    assert "\x1b" not in text
    assert "epoch 3, step 1/3950: D Loss" in text


def test_the_display_of_a_script_on_a_terminal_is_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganbench.reporting import console, display

    monkeypatch.setattr(console, "out", console_of())
    assert type(display.choose_display(quiet=False)) is LiveDisplay


@pytest.mark.slow
def test_ctrl_c_leaves_the_view_the_result_and_a_visible_cursor() -> None:
    game = "run softmax-bandit --steps 100000000 -o metrics=[] --device cpu --out run"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "OMP_NUM_THREADS": "1"}
        os.execvp(sys.executable, [sys.executable, "-m", "ganbench", *game.split()])
    seen = b""
    while b"next:" not in seen:
        seen += os.read(terminal, 65536)
    os.kill(pid, signal.SIGINT)
    while True:
        try:
            seen += os.read(terminal, 65536)
        except OSError:  # the terminal is closed when the process ends
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.INTERRUPTED
    text = seen.decode()
    assert text.rindex(SHOW) > text.rindex(HIDE)
    assert "interrupted after step" in text
    view = text[text.index(HIDE) : text.rindex(SHOW)]
    assert "G Loss" in view
    assert "D Loss" not in view  # the bandit has no discriminator
