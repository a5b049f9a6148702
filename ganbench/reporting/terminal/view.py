"""The live view of a run: its progress, losses and scores as small curves, and what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import isfinite

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ganbench.plugin.callbacks import Progress, RunInfo, UpcomingEvent
from ganbench.reporting.formatting import column_title, duration, number, speed
from ganbench.results.schema import LOSS_COLUMNS, MetricPoint, epochs_text

from .curve import Curve, sparkline

STYLES = {"d_loss": "bright_blue", "g_loss": "dark_orange"}  # as in losses.png
MAX_MONITORS = 4
MIN_CURVE, WIDE_CURVE, MAX_CURVE = 8, 20, 60  # characters
KEPT_CURVE = 12  # characters: names are wrapped rather than making the curves of losses narrower
GAP = 2  # characters between columns


@dataclass(frozen=True)
class ViewRow:
    """A quantity with its latest value, its curve so far, and a note."""

    name: str
    value: str
    note: str
    points: list[float]
    style: str = ""


class RunView:
    """What the live view knows of a run; rich draws it at any width."""

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.status = ""  # what the run does besides training; empty while it trains
        self.progress: Progress | None = None
        self.curves: dict[str, Curve] = {}  # of losses and monitors
        self.speed = Curve()
        self.scores: dict[str, list[MetricPoint]] = {}  # by label
        self.best: dict[str, MetricPoint] = {}

    def add_progress(self, progress: Progress) -> None:
        self.progress, self.status = progress, ""
        for name, value in progress.losses.items():
            self.curves.setdefault(name, Curve()).add(value)
        self.speed.add(progress.images_per_second)

    def add_score(self, label: str, point: MetricPoint) -> None:
        self.scores.setdefault(label, []).append(point)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.progress is None:
            yield Text(self.status, "dim")
            return
        yield self._progress_line(self.progress)
        room = max(2, console.height - 4)  # excluding the progress, what comes next, and the cursor
        scores = list(self._score_rows())[: room // 2]
        quantities = list(self._quantity_rows())[: room - len(scores)]
        yield draw_rows([group for group in (quantities, scores) if group], options.max_width, not options.ascii_only)
        if self.progress.upcoming and not self.status:
            yield Text(next_line(self.progress), "dim")

    def _progress_line(self, progress: Progress) -> Table:
        training = self.info.spec["training"]
        position = (
            f"epoch {progress.epoch} of {training['epochs']}"
            if "epochs" in training
            else f"step {progress.step:,} of {progress.total_steps:,}"
        )
        line = Table.grid(padding=(0, GAP, 0, 0), expand=True)
        for justify in ("left", "left", "right", "left"):
            line.add_column(justify=justify, no_wrap=True)
        line.columns[1].ratio = 1
        done = ProgressBar(total=progress.total_steps, completed=progress.step)
        left = self.status or f"{duration(progress.seconds_left)} left"
        line.add_row(position, done, f"{progress.step / progress.total_steps:.0%}", Text(left))
        return line

    def _quantity_rows(self) -> Iterator[ViewRow]:
        """Yield losses, speed and monitors; not the loss of a network that has nothing to train."""
        losses = [
            name for name, player in LOSS_COLUMNS.items() if name in self.curves and self.info.parameters.get(player, 1)
        ]
        monitors = [name for name in self.curves if name not in LOSS_COLUMNS][:MAX_MONITORS]
        for name in losses:
            yield curve_row(column_title(name), self.curves[name], number, STYLES[name])
        disturbed = self.progress is not None and self.progress.disturbed
        yield curve_row("Images/s", self.speed, partial(speed, unreliable=disturbed))
        for name in monitors:
            yield curve_row(column_title(name), self.curves[name], number)

    def _score_rows(self) -> Iterator[ViewRow]:
        for label, points in self.scores.items():
            best, latest = self.best.get(label), points[-1]
            note = ""
            if best is not None:
                note = "best" if best == latest else f"best {number(best.value)} (epoch {epochs_text(best.epoch)})"
            values = [point.value for point in points if point.value is not None]
            yield ViewRow(label, number(latest.value), note, values, "bold" if best == latest else "")


def curve_row(name: str, curve: Curve, form: Callable[[float], str], style: str = "") -> ViewRow:
    """Return a row with the latest value of a curve and its range."""
    points = curve.points
    note = f"{form(min(points))} to {form(max(points))}" if points else ""
    return ViewRow(name, form(curve.latest) if isfinite(curve.latest) else "not finite", note, points, style)


def draw_rows(groups: list[list[ViewRow]], width: int, with_curves: bool) -> Table:
    """Draw groups of rows below each other: name, value, curve and note. Curves of one group have one width."""
    rows = [row for group in groups for row in group]
    values, names = (max(cell_len(getattr(row, part)) for row in rows) for part in ("value", "name"))
    notes = max(cell_len(row.note) for row in groups[0])
    longest_word = max(cell_len(word) for row in rows for word in row.name.split())
    names = min(names, max(longest_word, width - values - notes - KEPT_CURVE - 3 * GAP))
    rest = max(1, width - names - values - 2 * GAP)
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(width=names, overflow="fold")
    table.add_column(width=values, justify="right")
    table.add_column(width=rest)
    rooms = [rest - GAP - max(cell_len(row.note) for row in group) for group in groups]
    for group, room in zip(groups, rooms, strict=True):
        curve_width = min(MAX_CURVE, min(rooms) if min(rooms) >= WIDE_CURVE else room)
        for row in group:
            drawn = Text()
            if with_curves and curve_width >= MIN_CURVE:
                drawn.append(sparkline(row.points, curve_width).ljust(curve_width + GAP), row.style)
            drawn.append(row.note, "dim")
            table.add_row(Text(row.name), Text(row.value, row.style), drawn)
    return table


def next_line(progress: Progress) -> str:
    """Format what comes next: "next: checkpoint in about 50 s; score fid, sample images at epoch 10 in about 3 min"."""
    moments = groupby(progress.upcoming, key=lambda event: moment(event, progress))
    return "next: " + "; ".join(f"{', '.join(event.name for event in events)} {when}" for when, events in moments)


def moment(event: UpcomingEvent, progress: Progress) -> str:
    """Format when an event is due."""
    when = f"in about {duration(event.seconds)}"
    if event.epoch is not None:
        return f"at epoch {epochs_text(event.epoch)} {when}"
    return f"at the end, {when}" if event.seconds >= progress.seconds_left else when
