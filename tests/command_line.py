"""The command line in this process: a process of its own would first import everything again."""

from __future__ import annotations

from unittest.mock import patch

from typer.main import get_command
from typer.testing import CliRunner, Result

from ganbench.cli import app

COMMAND = get_command(app)  # built once; typer's runner builds it for each call, which takes longer than most commands


def run_command(*arguments: object, columns: int | None = None, env: dict[str, str] | None = None) -> Result:
    """Run a command. An unexpected exception fails the test; `columns` is the width of the terminal."""
    width = {} if columns is None else {"COLUMNS": str(columns)}
    with patch("typer.testing._get_command", lambda _: COMMAND):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={**width, **(env or {})})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "error: unexpected " not in result.output  # what the command line makes of one
    return result
