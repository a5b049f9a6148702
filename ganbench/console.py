"""What all commands share: where they print, and the options that several of them take."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from .registry import Registry


class QuietConsole(Console):
    """A console whose reader may leave: what it prints after that goes nowhere, and nothing else changes."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        forget_output(self.file)


def forget_output(file: IO[str]) -> None:
    """Let what is still to be written to a closed pipe go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


out = QuietConsole()
err = QuietConsole(stderr=True)

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
