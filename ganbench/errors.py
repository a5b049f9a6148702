"""User-facing errors and the exit codes of `ganbench`.

Every error that a user can cause is a `GanbenchError`. Its message is one readable paragraph: what is wrong, where, and
what to do. The command line prints the message and exits with the error's exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of `ganbench`."""

    DONE = 0  # success
    REGRESSION = 1  # speed, memory or scores got worse; nothing else has this code
    USAGE = 2  # usage error, unknown name or invalid spec
    NOT_COMPARABLE = 3  # not comparable, or something required is missing: a baseline, weights, a package, a result
    INCONCLUSIVE = 4  # inconclusive: neither a regression nor a pass; only with `ganbench check --strict`
    FAILED = 5  # failed: a run diverged, a plugin raised or broke a rule, data is corrupt, or output failed
    INTERRUPTED = 130  # interrupted; if training had started, the result so far is stored


class GanbenchError(Exception):
    """Base class of errors whose message is meant for the user; the exit code is 5 unless a subclass overrides it."""

    exit_code = ExitCode.FAILED


class UsageError(GanbenchError):
    """The command line is invalid, a name is unknown, or a spec is invalid."""

    exit_code = ExitCode.USAGE


class ImagesOnlyError(UsageError):
    """A plugin for images is built for vectors of a `shape`; the registry puts the plugin before the message."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(
            f"takes images, but the dataset has vectors of shape {shape}; use another, or a dataset of images"
        )


class MissingError(GanbenchError):
    """Something that a measurement requires is missing, such as a metric's weights or a baseline."""

    exit_code = ExitCode.NOT_COMPARABLE


class NotComparableError(GanbenchError):
    """Results or measurements cannot be compared, because conditions that must match differ."""

    exit_code = ExitCode.NOT_COMPARABLE


class DataError(GanbenchError):
    """A data or weights file is corrupt, or a dataset is unavailable."""


class PluginError(GanbenchError):
    """A plugin raised an error or violated its contract; the message names the plugin and its package."""


class DivergedError(GanbenchError):
    """A loss or weight became NaN or infinite during training, or the absolute value of a loss exceeded 1e9."""


class ScoreWarning(UserWarning):
    """A score may be misleading. Metrics issue it by `warnings.warn(ScoreWarning(...))`; stored with the score."""


class GanbenchWarning(UserWarning):
    """Something is missing, failed or slow, but no result depends on it; the message is one readable paragraph."""


def suggestion(name: str, known: Iterable[str], what: str = "available") -> str:
    """Return what to add to an error about an unknown name: the most similar known name, or a list of all."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"{what}: {', '.join(known) or 'none'}"


def restated(error: GanbenchError, message: str) -> GanbenchError:
    """Return the error with another message and the same exit code.

    It is of the first of its classes that is defined here: a plugin's own class may take other arguments.
    """
    known = next(each for each in type(error).__mro__ if each.__module__ == __name__ and each is not ImagesOnlyError)
    other: GanbenchError = known(message)
    other.exit_code = error.exit_code
    return other


def describe(error: BaseException) -> str:
    """Return an exception as one line: its type and message, or only the problems if it is pydantic's."""
    if hasattr(error, "errors") and type(error).__name__ == "ValidationError":
        return "; ".join(map(describe_problem, error.errors(include_url=False)))
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def describe_problem(problem: Mapping[str, Any]) -> str:
    """Return a problem that pydantic has found, with the path of the field and its value, if short."""
    message, got = problem["msg"].removeprefix("Value error, "), problem.get("input")
    if isinstance(got, bool | int | float | str) and repr(got) not in message:
        message += f" (got {got!r})"
    return ": ".join(filter(None, [".".join(map(str, problem["loc"])), message]))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its chain of causes and contexts, ending with the first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
