"""What shows the progress of a run: a terminal, a notebook, or nothing."""

from __future__ import annotations

import warnings

from ganbench.errors import GanbenchWarning
from ganbench.plugin.callbacks import Callback


class Display(Callback):
    """Shows no progress, and warnings as Python's. Its subclasses show both in their way."""

    def on_warning(self, message: str) -> None:
        warnings.warn(message, GanbenchWarning, stacklevel=2)

    def stop(self) -> None:
        """Called once after the run, also if it failed or was interrupted."""


def choose_display(quiet: bool) -> Display:
    """Return the display for a run that a script or a notebook starts."""
    from .console import out
    from .live import LiveDisplay
    from .notebook import NotebookDisplay

    if quiet:
        return Display()
    return NotebookDisplay() if out.is_jupyter else LiveDisplay(out)
