"""The commands of the gate; `cli` puts them beside the others."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.console import AsJson, DataDir, Device, Overrides, PluginArguments, err, out, print_json
from ganbench.errors import ExitCode, UsageError

EXIT_CODES = {"pass": ExitCode.DONE, "inconclusive": ExitCode.DONE, "regressed": ExitCode.REGRESSION}


def compare(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT RESULT...", help="Run directories or result.json.")],
    as_json: AsJson = False,
) -> None:
    """Stand results side by side. Gates nothing, and ranks only what may be ranked."""
    if len(results) < 2:
        raise UsageError("compare takes at least two results: run directories, or their result.json")
    from ganbench.result import load_result

    from .comparison import compare as compare_results
    from .tables import comparison_tables

    comparison = compare_results([load_result(path) for path in results])
    if as_json:
        print_json(comparison.to_dict([str(path) for path in results]))
        return
    for table in comparison_tables(comparison, [str(path) for path in results]):
        out.print(table)
        out.print()


def check(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="A registered name or a TOML file.")],
    against: Annotated[
        str | None, typer.Option(metavar="REF", help="A git revision of the repository you stand in.")
    ] = None,
    against_python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another Python, such as one with another torch.")
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads it, nothing writes it
    plugins: PluginArguments = [],  # noqa: B006
    margin: Annotated[float, typer.Option(min=0.0, help="How much slower is too slow, in per cent.")] = 5.0,
    quads: Annotated[int, typer.Option(min=1, help="Groups of four sessions; as many again if inconclusive.")] = 4,
    windows: Annotated[int, typer.Option(min=1, help="Windows that a session times.")] = 5,
    window_seconds: Annotated[float, typer.Option(min=0.0, help="How long a window is, at least.")] = 2.0,
    seed: Annotated[int | None, typer.Option(help="Of the order of the sessions; recorded.")] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where it is inconclusive.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a Markdown summary.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure this checkout against another revision or Python, side by side, and fail if it got slower or hungrier."""
    if (against is None) == (against_python is None):
        raise UsageError("check needs one of --against REF and --against-python PATH")
    from . import outputs, tables
    from .check import check_interleaved
    from .session import Measurement
    from .verdict import Threshold, Verdict

    console = err if as_json else out
    measurement = Measurement(
        benchmark=benchmark,
        overrides=list(overrides),
        plugins=list(plugins),
        device=device,
        data_dir=data_dir,
        windows=windows,
        window_seconds=window_seconds,
    )

    def told(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with ExitStack() as stack:
        base, head = arms(against, against_python, measurement, stack)
        found = check_interleaved(base, head, measurement, Threshold(margin / 100), quads, seed, told)
    for table in tables.check_tables(found):
        console.print(table)
    for verdict, sentence in outputs.sentences(found).values():
        console.print(f"{verdict.upper()}: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if found.verdict == Verdict.INCONCLUSIVE:
        err.print("[bold yellow]INCONCLUSIVE: this check has proved nothing, neither a regression nor its absence[/]")
    if junit:
        outputs.write_junit(found, junit)
    if summary:
        summary.write_text(outputs.markdown(found), encoding="utf-8")
    for line in outputs.tell_github(found):
        sys.stdout.write(line + "\n")
    if as_json:
        print_json(outputs.to_dict(found))
    if strict and found.verdict == Verdict.INCONCLUSIVE:
        raise typer.Exit(ExitCode.INCONCLUSIVE)
    raise typer.Exit(EXIT_CODES[found.verdict])


def arms(against: str | None, against_python: Path | None, measurement: Any, stack: ExitStack) -> tuple[Any, Any]:
    """Base and head of a check; a checked-out revision goes away with the stack."""
    from importlib.metadata import entry_points

    from ganbench.registry import ENTRY_POINT_GROUP

    from .revision import checked_out, import_paths_within, need_something_under_test
    from .session import Arm

    if against_python is not None:
        if not against_python.is_file():
            raise UsageError(f"--against-python {against_python}: there is no such file")
        return Arm(str(against_python), python=str(against_python)), Arm(sys.executable)
    assert against is not None
    revision = stack.enter_context(checked_out(against))
    modules = [entry_point.module for entry_point in entry_points(group=ENTRY_POINT_GROUP)]
    paths = import_paths_within(revision.repository, modules)
    files = [name for name in [*measurement.plugins, measurement.benchmark] if name.endswith((".py", ".toml"))]
    need_something_under_test(paths, revision.repository, files)
    head = Arm("the working tree", import_paths=tuple(paths))
    base = Arm(
        f"{against} ({revision.commit[:9]})",
        folder=stands if (stands := revision.of(Path.cwd())).is_dir() else revision.folder,
        own=revision.of,
        import_paths=tuple(revision.of(path) for path in paths),
    )
    return base, head
