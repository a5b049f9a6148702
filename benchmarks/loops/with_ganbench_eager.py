"""ganbench without CUDA graphs, to measure their benefit on a GPU."""

from __future__ import annotations

from . import with_ganbench
from .setting import Setting


def run(setting: Setting) -> None:
    with_ganbench.run(setting, mode="eager")
