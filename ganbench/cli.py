"""The command-line interface. Commands import lazily: `--help` starts fast, and only training imports torch."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .api.run_command import run
from .authoring.commands import plugin
from .errors import ExitCode, GanbenchError, describe
from .gate import commands as gate
from .gate.baseline.commands import baseline
from .reporting.compare_command import compare
from .reporting.console import Command, Query, err, print_error
from .reporting.leaderboard_command import leaderboard
from .reporting.plugin_commands import list_plugins, show, show_plugins
from .reporting.report_command import report
from .reporting.schema_command import schema
from .scoring.audit.command import audit
from .scoring.eval.command import evaluate
from .scoring.sample_command import sample
from .suite.command import suite
from .suite.sweep.command import sweep
from .system.launcher import Launcher
from .system.streams import safe_streams


class CommandGroup(TyperGroup):
    """Reports each error as one paragraph and exits with its code; code 1 is reserved for regressions."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with safe_streams() as stdout:
            try:
                return super().main(*args, **kwargs)
            except SystemExit as exit_:
                stdout.flush()
                if stdout.failure and not exit_.code:  # --help or --version: commands have their own stream
                    self.print_error(stdout.failure)
                    raise SystemExit(ExitCode.FAILED) from None
                raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            err.print("interrupted")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except GanbenchError as error:
            launcher = Launcher.of_this_process()
            if launcher.is_first:
                self.print_error(str(error), ctx.params["traceback"])
            elif error.exit_code == ExitCode.FAILED:  # other errors are the same in all processes
                self.print_error(f"process {launcher.rank}: {error}", ctx.params["traceback"])
            raise typer.Exit(error.exit_code) from None
        except (Exception, SystemExit) as error:
            if hasattr(error, "exit_code"):  # raised by typer itself
                raise
            message = f"{describe_other(error)}; run `ganbench --traceback ...` for details"
            self.print_error(message, ctx.params["traceback"])
            raise typer.Exit(ExitCode.FAILED) from None

    @staticmethod
    def print_error(message: str, traceback: bool = False) -> None:
        """Print the error being handled, preceded by its traceback if requested."""
        if traceback:
            err.print_exception()
        print_error(message)


def describe_other(error: BaseException) -> str:
    """Describe an error that is not a `GanbenchError`: most are bugs, but a file or folder may deny access anywhere."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot access {error.filename}: {error.strerror}"
    return f"unexpected {describe(error)}"


def print_version(requested: bool) -> None:
    if requested:
        from .version import __version__

        typer.echo(f"ganbench {__version__}")
        raise typer.Exit


app = typer.Typer(cls=CommandGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Benchmark GANs with numbers you can trust."""


app.command(cls=Command)(run)
app.command("list", cls=Query)(list_plugins)
app.command(cls=Query)(show)
app.command("plugins", cls=Query)(show_plugins)
app.command(cls=Command)(sweep)
app.command("eval", cls=Query)(evaluate)
app.command(cls=Command)(sample)
app.command(cls=Query)(audit)
app.command(cls=Query)(compare)
app.command(cls=Query)(leaderboard)
app.command(cls=Query)(report)
app.command(cls=Query)(schema)
app.command(cls=Command)(gate.check)
app.command(cls=Command)(gate.calibrate)
app.add_typer(baseline, name="baseline")
app.add_typer(suite, name="suite")
app.add_typer(plugin, name="plugin")
