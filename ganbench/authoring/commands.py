"""`ganbench plugin`: the commands for authors of plugins."""

from __future__ import annotations

import typer

from ganbench.reporting.console import Command

from .check_command import check
from .new_command import new

plugin = typer.Typer(no_args_is_help=True, help="Create and check plugins of your own.")
plugin.command(cls=Command)(new)
plugin.command(cls=Command)(check)
