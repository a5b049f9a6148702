"""What shows the progress of a run: a terminal, a notebook, or nothing."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from ganbench.errors import GanbenchWarning
from ganbench.plugin.callbacks import Callback


class Display(Callback):
    """Shows no progress, and issues Python warnings. Subclasses override the callbacks to show both."""

    def on_warning(self, message: str) -> None:
        warn_caller(message)

    def stop(self) -> None:
        """Called once after the run, also if it failed or was interrupted."""


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
    from .live import LiveDisplay
    from .notebook import NotebookDisplay

    if quiet:
        return Display()
    return NotebookDisplay() if out.is_jupyter else LiveDisplay(out)
