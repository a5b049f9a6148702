"""What all commands share: where they print, and the options that several of them take."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from typer.core import TyperCommand

from ganbench.errors import GanbenchError, GanbenchWarning, describe
from ganbench.system.files import named_data_dir
from ganbench.system.streams import answer_on_stdout

from .narrow import fitted

if TYPE_CHECKING:
    from ganbench.plugin.registry import Registry


class SafeConsole(Console):
    """A console that any text may be printed on, and any table on any width.

    What text from files and plugins says to a terminal (colours, cursor, titles) is shown, not done.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Table):
            renderable = fitted(renderable, self, options or self.options)
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
    """The text with control characters written out, such as \\x1b; lines stay lines."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


out = SafeConsole()  # within a command, the only way to standard output: print on it, or write to `out.file`
err = SafeConsole(stderr=True)


class Command(TyperCommand):
    """A command whose outcome is more than its output: a lost output is a warning, and the exit code stays."""

    def invoke(self, ctx: Any) -> Any:
        with answer_on_stdout() as answer, out.writing_to(cast(IO[str], answer)), plain_warnings():
            try:
                return super().invoke(ctx)
            finally:
                answer.flush()
                if answer.loss:
                    self.on_lost_output(answer.loss)

    def on_lost_output(self, reason: str) -> None:
        err.print(f"[bold yellow]{reason}[/]", soft_wrap=True)


class Query(Command):
    """A command that only prints: it fails if it cannot."""

    def on_lost_output(self, reason: str) -> None:
        raise GanbenchError(reason)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show ganbench's own warnings as plain lines, without the source line that raised them."""
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


PluginArguments = Annotated[
    list[str], typer.Option("-p", "--plugin", metavar="FILE.py|MODULE", help="Add an unpublished plugin.")
]
Overrides = Annotated[
    list[str], typer.Option("-o", "--override", metavar="PATH=VALUE", help="Override anything in the spec.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where to train.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where data sets live.",
        callback=lambda given: None if given is None else named_data_dir(given),
    ),
]


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Within the block, an error of what only shows a run is a warning: the run and its exit code are not affected."""
    try:
        yield
    except Exception as error:
        err.print(f"[bold yellow]warning:[/] {what} failed: ", end="")
        err.print(describe(error), markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON that any encoding can hold."""
    out.file.write(json.dumps(value, indent=2) + "\n")


def load_registry(plugins: list[str], benchmark: str | None = None, resume: Path | None = None) -> Registry:
    """All plugins: also those given when the run was started that is resumed, or whose spec.toml is the benchmark."""
    from ganbench.plugin.registry import Registry
    from ganbench.spec.launch import plugins_for_spec, plugins_to_resume

    if resume is not None:
        plugins = plugins_to_resume(plugins, resume)
    elif benchmark is not None:
        plugins = plugins_for_spec(plugins, benchmark)
    return Registry.load(plugins)
