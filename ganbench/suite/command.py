"""`ganbench suite` and `ganbench suite status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ganbench.errors import ExitCode, UsageError
from ganbench.reporting.console import (
    AsJson,
    Command,
    DataDir,
    Device,
    PluginArguments,
    Query,
    Track,
    err,
    given_path,
    out,
    print_json,
    print_text,
    warn_on_error,
)
from ganbench.spec.plugins import load_registry
from ganbench.system.files import expand_home, named_data_dir

from .train_command import train

if TYPE_CHECKING:
    from .cell_state import CellStatus


class SuiteGroup(TyperGroup):
    """Runs `suite FILE.toml` as `suite run FILE.toml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", parser=given_path, help="The suite's file.")],
    directory: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", parser=given_path, help="The suite's folder; default: suites/NAME."),
    ] = None,
    executor: Annotated[
        str, typer.Option(metavar="NAME", help="Where to run: `ganbench list executors` lists all.")
    ] = "local",
    executor_options: Annotated[
        list[str],
        typer.Option("-x", "--executor-option", metavar="KEY=VALUE", help="Set an option of the executor; repeatable."),
    ] = [],  # noqa: B006 - never modified
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at once; short for -x jobs=N.")] = None,
    retries: Annotated[
        int,
        typer.Option(min=0, help="Maximum number of times that this command resumes a failed or killed cell."),
    ] = 2,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Restart unfinished cells from scratch; their earlier files are moved to discarded/."
        ),
    ] = False,
    seeds_at_once: Annotated[
        bool,
        typer.Option(
            "--seeds-at-once",
            help="On a GPU, train up to four seeds in one process; faster, but their speeds are not comparable.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and an estimate; run nothing.")] = False,
    track: Track = [],  # noqa: B006
    device: Device = "auto",
    data_dir: DataDir = None,
    plugins: PluginArguments = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run the unfinished cells of a matrix of benchmarks, options and seeds, and rank the results."""
    from ganbench.spec.matrix import make_cells, read_suite_file
    from ganbench.spec.processes import check_device
    from ganbench.spec.trackers import choose_trackers

    from .cell_state import read_status
    from .executors import build_executor, choose_executor
    from .folder import SuiteFolder, default_folder
    from .tables import SuiteDisplay, estimate

    suite = read_suite_file(file)
    given = [*plugins, *(locate(plugin, file.parent) for plugin in suite.plugins)]
    registry = load_registry(given)
    cells = make_cells(suite, registry, file.parent)
    check_device(device, max(cell.processes for cell in cells))
    if seeds_at_once and device == "cpu":
        raise UsageError("--seeds-at-once trains on a GPU, but --device is cpu; remove one of them")
    choose_trackers(track, "", registry)  # an error is better now than in each cell
    folder = SuiteFolder(directory or default_folder(suite), suite, cells, registry)
    folder.require_readable_results()
    records = folder.records
    overrides = [*executor_options, *([f"jobs={jobs}"] if jobs is not None else [])]
    config = choose_executor(executor, suite.executors, overrides, registry)
    if config.plugin.plugin.name == "local":  # other machines may have the folder that $GANBENCH_DATA names
        named_data_dir(data_dir)
    if dry_run:
        statuses = [read_status(folder.path, record, alive=False) for record in records]
        show(statuses, f"{suite.name}, in {folder.path}", as_json)
        print_text(err, estimate(statuses))
        return

    from ganbench.reporting.leaderboard_tables import print_leaderboards_of

    from .execution import SuiteRun

    arguments = ["--device", device]
    arguments += ["--data-dir", str(data_dir.absolute())] if data_dir else []
    arguments += [word for plugin in given for word in ("-p", absolute(plugin))]
    arguments += [word for tracker in track for word in ("--track", tracker)]
    console = err if as_json else out
    with folder.locked():
        if restart:
            folder.discard_runs(cell for cell in records if not read_status(folder.path, cell, alive=False).finished)
        folder.write()
        built = build_executor(config, folder.path, device)
        with SuiteDisplay(console, suite.name) as display:
            running = SuiteRun(
                folder,
                records,
                config.plugin,
                built,
                retries,
                arguments,
                seeds_at_once,
                display.on_change,
                display.on_poll,
            )
            running.run()
    statuses = list(running.statuses.values())
    show(statuses, f"{suite.name}, in {folder.path}", as_json)
    if not as_json:
        with warn_on_error("the leaderboard"):
            print_leaderboards_of(out, folder.path)
    if running.failed():
        raise typer.Exit(ExitCode.FAILED)


def status(
    directory: Annotated[Path, typer.Argument(metavar="DIR", parser=given_path, help="The suite's folder.")],
    as_json: AsJson = False,
) -> None:
    """Show the state of all cells of a suite, also while it runs."""
    from ganbench.results.suite_record import read_suite
    from ganbench.system.locks import is_locked

    from .cell_state import read_status

    record = read_suite(directory)
    alive = is_locked(directory)
    statuses = [read_status(directory, cell, alive) for cell in record.cells]
    show(statuses, f"{record.name}, {'running' if alive else 'not running'}", as_json)
    if record.note and not as_json:
        print_text(out, record.note)


def show(statuses: list[CellStatus], title: str, as_json: bool) -> None:
    from .status_json import CellStatusRecord
    from .tables import cells_table, summary

    if as_json:
        print_json([CellStatusRecord.of(status).model_dump(mode="json") for status in statuses])
        return
    out.print(cells_table(statuses, title))
    print_text(out, summary(statuses))


def locate(plugin: str, folder: Path) -> str:
    """Return a plugin of the suite's file as an argument of -p; files are relative to the file's folder."""
    return str(folder / expand_home(plugin)) if plugin.endswith(".py") else plugin


def absolute(plugin: str) -> str:
    return str(Path(plugin).absolute()) if plugin.endswith(".py") else plugin


suite = typer.Typer(
    cls=SuiteGroup,
    no_args_is_help=True,
    help="Run a matrix of benchmarks, options and seeds.\n\n"
    "`ganbench suite FILE.toml` is short for `ganbench suite run FILE.toml`; see `ganbench suite run --help`.",
)
suite.command("run", cls=Command)(run)
suite.command("status", cls=Query)(status)
suite.command("train", cls=Command, hidden=True)(train)
