"""The command-line interface. Commands import lazily: `--help` starts fast, and only training imports torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .authoring.commands import plugin
from .errors import ExitCode, GanbenchError, UsageError, describe
from .gate import commands as gate
from .gate.baseline_commands import baseline
from .reporting.compare_command import compare
from .reporting.console import (
    AsJson,
    Command,
    DataDir,
    Device,
    Overrides,
    PluginArguments,
    Query,
    Track,
    err,
    out,
    print_json,
    print_text,
    warn_on_error,
)
from .reporting.leaderboard_command import leaderboard
from .reporting.report_command import report, write_report
from .reporting.schema_command import schema
from .scoring.audit.command import audit
from .scoring.eval.command import evaluate
from .scoring.sample_command import sample
from .spec.plugins import load_registry
from .suite.command import suite
from .suite.sweep.command import sweep
from .system.launcher import Launcher
from .system.streams import safe_streams

if TYPE_CHECKING:
    from .plugin.registrations import Kind

STATUS_EXIT_CODES = {
    "completed": ExitCode.DONE,
    "interrupted": ExitCode.INTERRUPTED,
    "diverged": ExitCode.FAILED,
    "failed": ExitCode.FAILED,
}


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
            message = f"unexpected {describe(error)}; run `ganbench --traceback ...` for details"
            self.print_error(message, ctx.params["traceback"])
            raise typer.Exit(ExitCode.FAILED) from None

    @staticmethod
    def print_error(message: str, traceback: bool = False) -> None:
        """Print the error being handled, preceded by its traceback if requested."""
        if traceback:
            err.print_exception()
        err.print("[bold red]error:[/] ", end="")
        print_text(err, message)


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


@app.command(cls=Command)
def run(
    benchmark: Annotated[
        str | None, typer.Argument(metavar="BENCHMARK", help="Registered name or TOML file; omit it with --resume.")
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - never modified
    plugins: PluginArguments = [],  # noqa: B006
    epochs: Annotated[int | None, typer.Option(help="Length in epochs, at least 1; default: the spec's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length in steps, at least 1, instead of epochs.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="90s|5m|2h", help="Stop after this training time, without warm-up and scoring."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed, at least 0; default: the spec's.")] = None,
    device: Device = "auto",
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|tf32|bf16", help="Floating-point precision for training; default: the spec's."),
    ] = None,
    verify_engine: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEPS",
            help="First check over this many steps that the CUDA graph is bitwise identical to eager execution.",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Profile some steps before training and show the time per kernel.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run directory; default: a new one, runs/BENCHMARK/ID."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Resume the run in this directory.")] = None,
    track: Track = [],  # noqa: B006
    with_report: Annotated[
        bool, typer.Option("--report", help="Also write the result as one HTML page, report.html in the run directory.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train, time and score a benchmark."""
    from .api.run import run as start
    from .reporting.display import terminal_display
    from .reporting.result_tables import show_result

    console = err if as_json else out
    finished = start(
        benchmark,
        *overrides,
        epochs=epochs,
        steps=steps,
        budget=budget,
        seed=seed,
        precision=precision,
        device=device,
        out=directory,
        resume=resume,
        plugins=plugins,
        data_dir=data_dir,
        track=track,
        display=terminal_display(console),
        verify_engine=verify_engine,
        profile=profile,
    )
    if Launcher.of_this_process().is_first:
        with warn_on_error("the result tables"):
            show_result(console, finished.result, finished.directory)
        if with_report:
            with warn_on_error("the report"):
                registry = load_registry(plugins, resume=finished.directory)
                write_report([finished.directory], finished.directory / "report.html", registry, console)
        if as_json:
            print_json(json.loads(finished.result.to_json()))
    raise typer.Exit(STATUS_EXIT_CODES[finished.result.status])


@app.command("list", cls=Query)
def list_plugins(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Kind to list: benchmarks, models, losses, ...")
    ] = None,
    plugins: PluginArguments = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """List all plugins, including benchmarks, or those of one kind."""
    from .reporting.plugin_tables import list_table

    registry = load_registry(plugins)
    found = registry.all_plugins() if kind is None else registry.of_kind(parse_kind(kind))
    if as_json:
        print_json([{"summary": registered.plugin.summary, **registered.record()} for registered in found])
    else:
        out.print(list_table(found))


@app.command(cls=Query)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Benchmark, TOML file, plugin or spec section.")],
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show the spec of a benchmark as TOML, the options of a plugin, or the fields of a section of a spec.

    A spec can be saved, edited and run. The sections are training, data, engine, ema, scoring, sample_images, targets,
    references, checkpoint and gate.
    """
    from .plugin.registrations import Buildable, Kind
    from .reporting.plugin_tables import options_table
    from .spec.benchmark import sections
    from .spec.configs import CONFIGS, engine_keys
    from .spec.loading import is_spec_file, load_spec
    from .spec.schema_files import SPEC, schema_line

    registry = load_registry(plugins, name)
    if name in sections() and not overrides:
        if as_json:
            print_json(sections()[name].model_json_schema())
        else:
            out.print(options_table(sections()[name], title=f"[{name}]".replace("[", "\\[")))
        return
    found = [] if is_spec_file(name, registry) else registry.named(name)
    if not found or any(registered.plugin.kind == Kind.BENCHMARK for registered in found):
        spec, _ = load_spec(name, registry, overrides)
        if as_json:
            print_json(spec.to_dict())
        elif out.is_terminal:
            from rich.syntax import Syntax

            toml = spec.to_toml()  # long lines are not cut
            out.print(Syntax(toml, "toml", background_color="default").highlight(toml), soft_wrap=True, end="")
        else:
            out.file.write(schema_line(SPEC) + spec.to_toml())
        return
    if overrides:
        raise UsageError(f"-o applies to benchmarks only; '{name}' is not a benchmark")
    options = [
        (registered, registered.plugin.options) for registered in found if isinstance(registered.plugin, Buildable)
    ]
    if as_json:
        print_json({registered.plugin.kind: model.model_json_schema() for registered, model in options})
        return
    for registered, model in options:
        out.print(f"{registered}: {registered.plugin.summary}", markup=False, highlight=False)
        out.print(options_table(model))
        config = CONFIGS[registered.plugin.kind]
        if config.own_keys():
            out.print(options_table(engine_keys(config), title=f"Options of every {registered.plugin.kind}"))


@app.command("plugins", cls=Query)
def show_plugins(
    plugins: PluginArguments = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 5 if a plugin failed to load.")] = False,
    as_json: AsJson = False,
) -> None:
    """List plugins by distribution, with load failures and causes."""
    from .reporting.plugin_tables import plugins_table

    registry = load_registry(plugins)
    if as_json:
        print_json(
            {
                "plugins": [registered.record() for registered in registry.all_plugins()],
                "failures": [asdict(failure) for failure in registry.failures],
            }
        )
    else:
        out.print(plugins_table(registry))
        for failure in registry.failures:
            out.print("[bold red]failed:[/] ", end="")
            print_text(out, str(failure))
    if strict and registry.failures:
        raise typer.Exit(ExitCode.FAILED)


app.command(cls=Command)(sweep)
app.command("eval", cls=Command)(evaluate)
app.command(cls=Command)(sample)
app.command(cls=Command)(audit)
app.command(cls=Query)(compare)
app.command(cls=Query)(leaderboard)
app.command(cls=Query)(report)
app.command(cls=Query)(schema)
app.command(cls=Command)(gate.check)
app.command(cls=Command)(gate.calibrate)
app.add_typer(baseline, name="baseline")
app.add_typer(suite, name="suite")
app.add_typer(plugin, name="plugin")


def parse_kind(text: str) -> Kind:
    """Return a kind by its singular or plural name. Raises `UsageError` for anything else."""
    from .plugin.registrations import Kind

    for kind in Kind:
        if text in (kind, kind.plural):
            return kind
    raise UsageError(f"unknown kind '{text}'; available: {', '.join(kind.plural for kind in Kind)}")
