"""Standard streams that never raise, and a standard output reserved for a command's own output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class SafeStream:
    """A text stream that accepts any text and never raises.

    Characters that its encoding cannot represent are replaced. If a write fails (a closed terminal, a full disk, a
    reader that exited), `error` holds the reason, and this text and all later text is discarded.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: Exception | None = None
        if self.descriptor is not None:
            with suppress(OSError, AttributeError):  # AttributeError: Python 3.11 on Windows
                os.set_blocking(self.descriptor, True)  # otherwise a slow reader would look like a closed pipe

    def write(self, text: str) -> int:
        if self.error is None:
            try:
                self._write(text)
            except (OSError, ValueError) as error:  # ValueError: the Python object was closed
                self._fail(error)
        return len(text)

    def _write(self, text: str) -> None:
        if self._stream is None:
            raise OSError("stream is closed")
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "replace").decode(encoding))

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.error is None and self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error = error
        if self.descriptor is not None:  # so that flushing the buffer at exit does not fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.descriptor)

    @property
    def failure(self) -> str | None:
        """The error message; None if nothing was lost, or if the reader closed the pipe, as `head` does."""
        if self.error is None or isinstance(self.error, BrokenPipeError):
            return None
        return f"cannot write to standard output: {getattr(self.error, 'strerror', None) or self.error}"

    def duplicate(self) -> SafeStream:
        """Return another stream to the same place that fails independently."""
        return SafeStream(self._stream)

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("stream is closed")
        return self._stream.fileno()

    @property
    def descriptor(self) -> int | None:
        """The file descriptor; None if there is none."""
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
    """Replace `sys.stdout` and `sys.stderr` by safe streams within the block; yield the former."""
    for descriptor in (0, 1, 2):
        open_if_closed(descriptor)
    before = sys.stdout, sys.stderr
    stdout, stderr = map(SafeStream, before)
    sys.stdout, sys.stderr = cast(TextIO, stdout), cast(TextIO, stderr)
    try:
        yield stdout
    finally:
        stdout.flush()
        stderr.flush()
        sys.stdout, sys.stderr = before


def open_if_closed(descriptor: int) -> None:
    """Open a closed standard descriptor on the null device, so that no file opened later gets its number."""
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)


@contextmanager
def reserve_stdout() -> Iterator[SafeStream]:
    """Within `safe_streams`, yield a stream to standard output that only the caller writes to.

    Anything else written to standard output, by Python, child processes or C libraries, goes to standard error. For the
    process's own standard output this lasts until the process exits, because libraries and children may print on exit.
    """
    stdout = sys.stdout
    assert isinstance(stdout, SafeStream)
    if stdout.descriptor == 1:
        stdout.flush()
        reserved = SafeStream(os.fdopen(os.dup(1), "w", encoding=stdout.encoding))
        os.dup2(2, 1)
    else:
        reserved = stdout.duplicate()
    sys.stdout = sys.stderr
    try:
        yield reserved
    finally:
        reserved.flush()
