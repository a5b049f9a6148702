"""Tables of a suite's cells: the plan, the live table, and the states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ganbench.reporting.console import print_text
from ganbench.reporting.formatting import duration, number, speed

from .cell_state import CellStatus, State, seconds_left

STYLES = {
    State.RUNNING: "cyan", State.COMPLETED: "green", State.DIVERGED: "yellow", State.FAILED: "bold red",
}  # fmt: skip
ORDER = [State.FAILED, State.RUNNING, State.STOPPED, State.QUEUED, State.NEW, State.DIVERGED, State.COMPLETED]
PLAIN_SECONDS = 30.0  # between two lines about the whole suite where there is no terminal


def cells_table(statuses: Iterable[CellStatus], title: str, rows: int | None = None) -> Table:
    """Show one cell per row; if there is room for only some `rows`, those in progress and failed ones first."""
    statuses = list(statuses)
    shown = statuses
    if rows is not None and len(statuses) > rows:
        chosen = {id(status) for status in sorted(statuses, key=lambda status: ORDER.index(status.state))[:rows]}
        shown = [status for status in statuses if id(status) in chosen]
    hidden = len(statuses) - len(shown)
    table = Table("Cell", "State", "Progress", "Score", "images/s", title=escape(title), title_justify="left")
    if hidden:
        table.caption = f"and {hidden} more cell{'s' * (hidden != 1)}"
    for status in shown:
        state = Text(status.state, STYLES.get(status.state, ""))
        if status.attempts > 1:
            state.append(f", attempt {status.attempts}", "dim")
        table.add_row(escape(status.cell.label), state, progress_cell(status), score_cell(status), speed_cell(status))
    return table


def progress_cell(status: CellStatus) -> str:
    if status.progress:
        progress = status.progress
        percent = 100 * progress.step / progress.total_steps
        return f"{percent:.0f}%, {duration(progress.seconds_left)} left"
    if status.finished:
        return "" if status.seconds is None else duration(status.seconds)
    return escape(first_line(status.problem)) if status.problem else ""


def score_cell(status: CellStatus) -> str:
    return escape(score_text(status))


def score_text(status: CellStatus) -> str:
    if status.score is None:
        return ""
    label, value = status.score
    return f"{label} {status.why_no_score if value is None else number(value)}"


def speed_cell(status: CellStatus) -> str:
    rate = status.progress.images_per_second if status.progress else status.images_per_second
    return "" if rate is None else speed(rate, status.disturbed)


def first_line(text: str, length: int = 100) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= length else f"{line[:length]}…"


def summary(statuses: Sequence[CellStatus]) -> str:
    """Return one line: how many cells are in each state, and an estimate of the time left."""
    counts = Counter(status.state for status in statuses)
    text = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
    left = seconds_left(status for status in statuses if status.state != State.FAILED)  # this command is done with them
    if left and (running := counts[State.RUNNING]):
        text += f"; about {duration(left / running)} left"
    return f"{count_cells(len(statuses))}: {text}"


def estimate(statuses: Sequence[CellStatus]) -> str:
    """Return how long the unfinished cells will take, as far as it is known."""
    unfinished = sum(not status.finished for status in statuses)
    if not unfinished:
        return "nothing to run: all cells are finished"
    left = seconds_left(statuses)
    if left is None:
        return f"{count_cells(unfinished)} to run; the time they take is estimated once one has finished"
    return f"{count_cells(unfinished)} to run; about {duration(left)} one after the other"


class SuiteDisplay:
    """Shows all cells: a live table on a terminal that can move its cursor, and lines elsewhere."""

    def __init__(self, console: Console, title: str) -> None:
        self.console = console
        self.title = title
        is_live = console.is_terminal and console.is_interactive
        self.live = Live(console=console, auto_refresh=False, transient=True) if is_live else None
        self.next_line = 0.0

    def __enter__(self) -> SuiteDisplay:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def on_poll(self, statuses: Iterable[CellStatus]) -> None:
        statuses = list(statuses)
        if self.live:
            room = max(3, self.console.height - 7)
            self.live.update(cells_table(statuses, f"{self.title}: {summary(statuses)}", room), refresh=True)
        elif monotonic() >= self.next_line:
            self.next_line = monotonic() + PLAIN_SECONDS
            print_text(self.console, summary(statuses))

    def on_change(self, status: CellStatus) -> None:
        ended = status.state if status.finished else f"attempt {status.attempts} failed"
        print_text(
            self.console, ": ".join(filter(None, (status.cell.label, ended, score_text(status), status.problem)))
        )


def count_cells(number: int) -> str:
    return f"{number} cell{'s' * (number != 1)}"
