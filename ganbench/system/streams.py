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
        if self.descriptor is not None:
            with suppress(OSError):
                os.set_blocking(self.descriptor, True)  # else a slow reader would look like one that left

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
        if self.descriptor is not None:  # what is buffered must not fail again when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.descriptor)

    @property
    def loss(self) -> str | None:
        """The reason for people; None if nothing was lost, or if a reader left that had seen enough."""
        if self.lost is None or isinstance(self.lost, BrokenPipeError):
            return None
        return f"cannot write to standard output: {getattr(self.lost, 'strerror', None) or self.lost}"

    def another(self) -> SafeStream:
        """A stream to the same place whose losses are its own."""
        return SafeStream(self._stream)

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("it is closed")
        return self._stream.fileno()

    @property
    def descriptor(self) -> int | None:
        """As `fileno`, but None where there is none."""
        try:
            return self.fileno()
        except (OSError, ValueError):
            return None

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
def safe_streams() -> Iterator[SafeStream]:
    """Make `sys.stdout` and `sys.stderr` safe within the block; yields the first."""
    for descriptor in (0, 1, 2):
        reserve(descriptor)
    before = sys.stdout, sys.stderr
    stdout, stderr = map(SafeStream, before)
    sys.stdout, sys.stderr = cast(TextIO, stdout), cast(TextIO, stderr)
    try:
        yield stdout
    finally:
        stdout.flush()
        stderr.flush()
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
def answer_on_stdout() -> Iterator[SafeStream]:
    """Within `safe_streams`, yield a stream to standard output that the caller alone writes to.

    All else that is written to standard output goes to standard error: by Python, by child processes, or by C
    libraries. For the process's own standard output this lasts until the process ends, as libraries and children may
    print at their own end.
    """
    stdout = sys.stdout
    assert isinstance(stdout, SafeStream)
    if stdout.descriptor == 1:
        stdout.flush()
        answer = SafeStream(os.fdopen(os.dup(1), "w", encoding=stdout.encoding))
        os.dup2(2, 1)
    else:
        answer = stdout.another()
    sys.stdout = sys.stderr
    try:
        yield answer
    finally:
        answer.flush()
