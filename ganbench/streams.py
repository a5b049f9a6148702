"""Standard output and standard error that never end a command, and standard output for a command's answer alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class SafeStream:
    """A text stream that takes any text and never raises.

    Characters that its encoding lacks are replaced. When it cannot be written to (a closed terminal, a full disk, a
    reader that left), `lost` holds the reason, and this text and all that follows is discarded.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.lost: Exception | None = None
        if stream is not None:
            with suppress(OSError, ValueError):
                os.set_blocking(stream.fileno(), True)  # else a slow reader would look like one that left

    def write(self, text: str) -> int:
        if self.lost is None:
            try:
                self._write(text)
            except (OSError, ValueError) as error:  # ValueError: somebody closed the Python object
                self._lose(error)
        return len(text)

    def _write(self, text: str) -> None:
        if self._stream is None:
            raise OSError("it is closed")
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "replace").decode(encoding))

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.lost is None and self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        self.lost = error
        with suppress(OSError, ValueError):  # what is buffered must not fail again when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("it is closed")
        return self._stream.fileno()

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    @property
    def encoding(self) -> str:
        return "utf-8" if self._stream is None else self._stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Make `sys.stdout` and `sys.stderr` safe within the block."""
    for descriptor in (0, 1, 2):
        reserve(descriptor)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, SafeStream(stream)) for stream in before)
    safe = sys.stdout, sys.stderr
    try:
        yield
    finally:
        for stream in safe:
            stream.flush()
        sys.stdout, sys.stderr = before


def reserve(descriptor: int) -> None:
    """Open a standard descriptor that was closed, so that no other file gets its number and a library's output."""
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)


@contextmanager
def answer_on_stdout() -> Iterator[TextIO]:
    """Within `safe_streams`, yield a stream to standard output that the caller alone writes to.

    All else that is written to standard output goes to standard error: by Python, by child processes, or by C
    libraries. For the process's own standard output this lasts until the process ends, as libraries and children may
    print at their own end.
    """
    answer = sys.stdout
    if descriptor_of(answer) == 1:
        answer.flush()
        kept = os.fdopen(os.dup(1), "w", encoding=answer.encoding, errors="replace")
        answer = cast(TextIO, SafeStream(kept))
        os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield answer
    finally:
        answer.flush()


def descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def output_lost(stream: TextIO) -> str | None:
    """Why something that was written to a safe stream did not arrive; None if it did, or if the reader had enough."""
    lost = getattr(stream, "lost", None)
    if lost is None or isinstance(lost, BrokenPipeError):
        return None
    return f"cannot write to standard output: {getattr(lost, 'strerror', None) or lost}"
