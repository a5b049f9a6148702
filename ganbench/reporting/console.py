"""Consoles, base classes and options shared by the commands."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, TextIO, cast

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from ganbench.errors import GanbenchError, GanbenchWarning, describe
from ganbench.system.files import StrPath, expand_home, named_data_dir
from ganbench.system.streams import reserve_stdout

from .narrow import fit_table


class SafeConsole(Console):
    """A console that prints any text safely, and tables at any width.

    Control sequences in text from files and plugins (colors, cursor, titles) are shown, not executed, and text between
    colons is not an emoji: "loss.py:100:" has a line number.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)
        self._width, self._height = self._width or None, self._height or None  # COLUMNS=0 is unknown, not nothing

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Table):
            renderable = fit_table(renderable, self, options or self.options)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    @contextmanager
    def writing_to(self, file: IO[str]) -> Iterator[None]:
        before, self._file = self._file, file
        try:
            yield
        finally:
            self._file = before


def printable(text: str) -> str:
    """Escape control characters, such as \\x1b; keep newlines."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


def print_text(console: Console, text: str, end: str = "\n") -> None:
    """Print text as it is: without markup, highlighting and line breaks."""
    console.print(text, end=end, markup=False, highlight=False, soft_wrap=True)


def print_error(message: str, console: Console | None = None) -> None:
    """Print an error, by default on standard error."""
    console = console or err
    console.print("[bold red]error:[/] ", end="")
    print_text(console, message)


def print_warning(message: str) -> None:
    """Print a warning on standard error, as one text, because a live display is drawn again after each."""
    err.print(Text.assemble(("warning:", "bold yellow"), " ", message), soft_wrap=True)


out = SafeConsole()  # within a command, the only way to reach standard output: print to it, or write to `out.file`
err = SafeConsole(stderr=True)


class Command(TyperCommand):
    """A command that does more than print: failing to write its output is a warning and keeps the exit code."""

    def invoke(self, ctx: Any) -> Any:
        with reserve_stdout() as stdout, out.writing_to(cast(IO[str], stdout)), plain_warnings():
            try:
                return super().invoke(ctx)
            finally:
                stdout.flush()
                if stdout.failure:
                    self.on_output_failure(stdout.failure)

    def on_output_failure(self, reason: str) -> None:
        err.print(f"[bold yellow]{reason}[/]", soft_wrap=True)


class Query(Command):
    """A command whose output is its result, so that failing to write its output is an error."""

    def on_output_failure(self, reason: str) -> None:
        raise GanbenchError(reason)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show ganbench's own warnings as plain lines, without their source location."""
    show = warnings.showwarning

    def show_plainly(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, GanbenchWarning):
            sys.stderr.write(f"warning: {printable(str(message))}\n")
        else:
            show(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = show_plainly
        yield


def given_path(text: StrPath) -> Path:
    """Read a path on the command line, of which no shell replaces the ~ in --out=~/run. An empty string is an error."""
    if not os.fspath(text):
        raise typer.BadParameter("expected a path, got an empty string")
    return Path(expand_home(text))


PluginArguments = Annotated[
    list[str],
    typer.Option(
        "-p", "--plugin", metavar="FILE.py|MODULE", help="Also load a plugin from this file or module; repeatable."
    ),
]
Overrides = Annotated[
    list[str], typer.Option("-o", "--override", metavar="PATH=VALUE", help="Override a field of the spec; repeatable.")
]
Track = Annotated[
    list[str],
    typer.Option("--track", metavar="NAME|TABLE", help="Also log the run to this tracker; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write only JSON to stdout.")]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Device to use; auto: a CUDA GPU if available, else the CPU.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        parser=given_path,
        help="Folder that holds the datasets; default: $GANBENCH_DATA, else a folder in the cache.",
        callback=lambda given: None if given is None else named_data_dir(given),
    ),
]


@contextmanager
def warn_on_error(what: str) -> Iterator[None]:
    """Turn an error in the block into a warning: failing to display a run affects neither the run nor its exit code."""
    try:
        yield
    except Exception as error:
        print_warning(f"{what} failed: {describe(error)}")


def print_json(value: Any) -> None:
    """Write JSON to standard output, in ASCII so that any encoding can represent it."""
    out.file.write(json.dumps(value, indent=2) + "\n")
