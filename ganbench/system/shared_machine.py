"""Whether a run shares its machine with other runs that ganbench itself started, so that its speed means little."""

from __future__ import annotations

import os

VARIABLE = "GANBENCH_SHARED_WITH"  # set for the runs of a suite: which other work the machine does


def shared_with() -> str | None:
    """Return which other work this machine does; None if this process was not told of any."""
    return os.environ.get(VARIABLE) or None
