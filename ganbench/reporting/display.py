"""What shows the progress of a run: a terminal, a notebook, or nothing."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import TYPE_CHECKING

from ganbench.errors import GanbenchWarning
from ganbench.plugin.callbacks import Callback

if TYPE_CHECKING:
    from rich.console import Console


class Display(Callback):
    """Shows no progress, and issues Python warnings. Subclasses override the callbacks to show both."""

    def on_warning(self, message: str) -> None:
        warn_caller(message)

    def stop(self) -> None:
        """Called once after the run, even if it failed or was interrupted."""


def warn_caller(message: str) -> None:
    """Issue a `GanbenchWarning` for the line of the script or the notebook that called ganbench."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("ganbench"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, GanbenchWarning, stacklevel=level)


def choose_display(quiet: bool) -> Display:
    """Return the display for a run that a script or a notebook starts."""
    from .console import out
    from .notebook import NotebookDisplay

    if quiet:
        return Display()
    return NotebookDisplay() if out.is_jupyter else terminal_display(out)


def terminal_display(console: Console) -> Display:
    """Return a live view if the console can move the cursor of a terminal, else a display that prints lines."""
    from .terminal.lines import LineDisplay
    from .terminal.live import LiveDisplay

    return LiveDisplay(console) if console.is_terminal and console.is_interactive else LineDisplay(console)
