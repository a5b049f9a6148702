"""The exit codes of runs, by their statuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganbench.errors import ExitCode, GanbenchError

if TYPE_CHECKING:
    from ganbench.results.schema import Result

STATUS_EXIT_CODES = {
    "completed": ExitCode.DONE,
    "interrupted": ExitCode.INTERRUPTED,
    "diverged": ExitCode.FAILED,
    "failed": ExitCode.FAILED,
}


def exit_code(outcomes: Iterable[Result | GanbenchError], not_started: Sequence[Path]) -> ExitCode:
    """Return the exit code of runs with several seeds: that of the worst one."""
    codes = [
        ExitCode.FAILED if isinstance(outcome, GanbenchError) else STATUS_EXIT_CODES[outcome.status]
        for outcome in outcomes
    ]
    if ExitCode.FAILED in codes:
        return ExitCode.FAILED
    return ExitCode.INTERRUPTED if not_started else max(codes)
