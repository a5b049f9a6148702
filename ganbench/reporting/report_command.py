"""`ganbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ganbench.errors import UsageError
from ganbench.results.layout import REPORT
from ganbench.spec.plugins import load_registry

from .console import PluginArguments, given_path, out, print_text

if TYPE_CHECKING:
    from ganbench.plugin.registry import Registry


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT...",
            parser=given_path,
            help="Run directories, suites' folders, folders of runs, or result.json files.",
        ),
    ],
    file: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", parser=given_path, help="HTML file to write."),
    ] = Path(REPORT),
    plugins: PluginArguments = [],  # noqa: B006 - never modified
) -> None:
    """Write an HTML page that shows one run, several or a suite: scores, curves, samples, speed and settings."""
    write_report(results, file, load_registry(plugins), out)


def write_report(results: list[Path], file: Path, registry: Registry, console: Console) -> None:
    """Write the report of run directories, folders of them, result.json files and suites, and print where it is.

    Published curves are those of the benchmarks in `registry`.

    Raises `UsageError` if the name is not that of an HTML file, or its folder does not exist.
    """
    from ganbench.results.layout import is_suite
    from ganbench.results.suite_record import read_suite
    from ganbench.system.files import explained_write, require_output_file, write_text

    from .html.page import render
    from .html.runs import load_runs

    if file.suffix not in (".html", ".htm"):  # a forgotten --out must not overwrite a result
        raise UsageError(f"--out {file}: the name of the report must end in .html")
    require_output_file(file, "--out")
    runs, boards = load_runs(results, registry), []
    if any(map(is_suite, results)):
        from .html.leaderboards import leaderboards  # here, because it imports scipy

        boards = list(leaderboards(results))
    suite = read_suite(results[0]).name if len(results) == 1 and is_suite(results[0]) else None
    html = render(runs, boards, suite)
    with explained_write(file):
        write_text(file, html)
    size = f"{len(html.encode()) / 1e3:,.0f} kB"
    text = f"{file}: {len(runs)} run{'s' * (len(runs) != 1)}, {size}"
    print_text(console, text)
