"""What all commands share: where they print, and the options that several of them take."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

if TYPE_CHECKING:
    from .registry import Registry


class SafeConsole(Console):
    """A console that any text may be printed on, and whose reader may leave.

    What text from files and plugins says to a terminal (colours, cursor, titles) is shown, not done. What is printed
    after the reader has left goes nowhere, and nothing else changes.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        forget_output(self.file)


def printable(text: str) -> str:
    """The text with control characters written out, such as \\x1b; lines stay lines."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


def forget_output(file: IO[str]) -> None:
    """Let what is still to be written to a closed pipe go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


out = SafeConsole()
err = SafeConsole(stderr=True)

PluginArguments = Annotated[
    list[str], typer.Option("-p", "--plugin", metavar="FILE.py|MODULE", help="Add an unpublished plugin.")
]
Overrides = Annotated[
    list[str], typer.Option("-o", "--override", metavar="PATH=VALUE", help="Override anything in the spec.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where to train.")]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Where data sets live.")]


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def load_registry(plugins: list[str]) -> Registry:
    """All plugins; what they print while they load goes to stderr, stdout being for what was asked."""
    from .registry import Registry

    with redirect_stdout(sys.stderr):
        return Registry.load(plugins)
