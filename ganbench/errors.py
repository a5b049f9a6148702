"""Errors for people, and the exit codes that a shell or a CI job reads.

Every error a user can cause is a `GanbenchError` whose message is one readable paragraph: what is wrong, where,
and what to do. The command line prints the message and leaves with the error's exit code.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit status of `ganbench` means."""

    DONE = 0
    REGRESSION = 1
    USAGE = 2
    NOT_COMPARABLE = 3
    INCONCLUSIVE = 4
    FAILED = 5
    INTERRUPTED = 130


class GanbenchError(Exception):
    """Base of all errors whose message is meant for the user; exit code 5 unless a subclass says otherwise."""

    exit_code = ExitCode.FAILED


class UsageError(GanbenchError):
    """A wrong command line, an unknown name or an invalid spec."""

    exit_code = ExitCode.USAGE


class MissingError(GanbenchError):
    """Something a measurement rests on is not there: a metric's weights, a baseline."""

    exit_code = ExitCode.NOT_COMPARABLE


class NotComparableError(GanbenchError):
    """Two things that would have to be alike for their figures to be compared are not."""

    exit_code = ExitCode.NOT_COMPARABLE


class DataError(GanbenchError):
    """A data or weights file is corrupt, or a data set cannot be had."""


class PluginError(GanbenchError):
    """A plugin raised or broke its contract; the message names the plugin and its distribution."""


class DivergedError(GanbenchError):
    """Training left the finite numbers."""


class ScoreWarning(UserWarning):
    """A score may mislead. A metric reports it with `warnings.warn(ScoreWarning(...))`; it is stored with the score."""


class GanbenchWarning(UserWarning):
    """Something is missing or failed that no number depends on; the message is one readable paragraph."""


def describe(error: BaseException) -> str:
    """An exception in one line: its type and message; of pydantic's, the problems alone."""
    if hasattr(error, "errors") and type(error).__name__ == "ValidationError":
        problems = (
            (".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, "))
            for problem in error.errors(include_url=False)
        )
        return "; ".join(f"{where}: {message}" if where else message for where, message in problems)
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from or while handling, back to the first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
