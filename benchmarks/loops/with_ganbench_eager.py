"""ganbench without recording: on a GPU, what its graph engine gains is the difference."""

from __future__ import annotations

from . import with_ganbench
from .setting import Setting, Timed


def run(setting: Setting) -> Timed:
    return with_ganbench.run(setting, mode="eager")
