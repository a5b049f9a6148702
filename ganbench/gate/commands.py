"""The commands of the gate; `cli` puts them beside the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.console import AsJson, DataDir, Device, Overrides, PluginArguments, err, out, print_json
from ganbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from .baseline import Baseline
    from .check import Check, SelfTest
    from .session import Arm, Measurement


class MissingBaseline(StrEnum):
    FAIL = "fail"
    RECORD = "record"


WINDOWS = 5
WINDOW_SECONDS = 2.0

Benchmark = Annotated[str, typer.Argument(metavar="BENCHMARK", help="A registered name or a TOML file.")]
Windows = Annotated[int, typer.Option(min=1, help="Windows that a session times.")]
WindowSeconds = Annotated[float, typer.Option(min=0.01, help="About how long a window is.")]


def compare(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT RESULT...", help="Run directories or result.json.")],
    as_json: AsJson = False,
) -> None:
    """Stand results side by side. Gates nothing, and ranks only what may be ranked."""
    if len(results) < 2:
        raise UsageError("compare takes at least two results: run directories, or their result.json")
    from ganbench.result import load_result

    from .comparison import compare as compare_results
    from .comparison_tables import comparison_tables

    comparison = compare_results([load_result(path) for path in results])
    if as_json:
        print_json(comparison.to_dict([str(path) for path in results]))
        return
    for table in comparison_tables(comparison, [str(path) for path in results]):
        out.print(table)
        out.print()


def check(
    benchmark: Benchmark,
    against: Annotated[
        str | None, typer.Option(metavar="REF", help="A git revision of the repository you stand in.")
    ] = None,
    against_python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another Python, such as one with another torch.")
    ] = None,
    baselines: Annotated[
        list[Path], typer.Option("--baseline", metavar="FILE", help="Stored sessions; several are gated together.")
    ] = [],  # noqa: B006 - typer reads it, nothing writes it
    missing_baseline: Annotated[
        MissingBaseline, typer.Option(help="What to do about a baseline that is not there.")
    ] = MissingBaseline.FAIL,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Try the gate itself: code against itself, and planted slowness.")
    ] = False,
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    margin: Annotated[
        float | None, typer.Option(min=0.0, help="How much slower is too slow, in per cent: 5, or 10 if stored.")
    ] = None,
    quads: Annotated[int, typer.Option(min=1, help="Groups of four sessions; as many again if inconclusive.")] = 4,
    sessions: Annotated[int, typer.Option(min=1, help="Fresh sessions against stored ones.")] = 4,
    windows: Windows = WINDOWS,
    window_seconds: WindowSeconds = WINDOW_SECONDS,
    seed: Annotated[int | None, typer.Option(help="Of the order of the sessions; recorded.")] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where it is inconclusive.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a Markdown summary.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fail if training got slower or hungrier than at another revision, with another Python, or than stored."""
    if sum([against is not None, against_python is not None, bool(baselines), self_test]) != 1:
        raise UsageError("check needs one of --against REF, --against-python PATH, --baseline FILE and --self-test")
    if self_test and (junit or summary):
        raise UsageError("--self-test tries the gate and judges no build: it takes no --junit and no --summary")
    need_folders(junit, summary)
    from .check import STORED_THROUGHPUT, THROUGHPUT, check_interleaved, check_stored
    from .check import self_test as try_gate
    from .session import Arm
    from .verdict import Threshold, Verdict

    measurement = measurement_of(benchmark, overrides, plugins, device, data_dir, windows, window_seconds)
    told = teller(err if as_json else out)
    if baselines:
        threshold = STORED_THROUGHPUT if margin is None else Threshold(margin / 100)
        stored = stored_baselines(baselines, missing_baseline, measurement, told)
        checks = check_stored(stored, Arm("now"), measurement, threshold, sessions, told) if stored else []
    else:
        threshold = THROUGHPUT if margin is None else Threshold(margin / 100)
        if self_test:
            raise typer.Exit(tell_self_test(try_gate(measurement, threshold, quads, seed, told), strict, as_json))
        with ExitStack() as stack:
            base, head = arms(against, against_python, measurement, stack)
            checks = [check_interleaved(base, head, measurement, threshold, quads, seed, told)]
    tell(checks, junit, summary, as_json)
    verdicts = {check.verdict for check in checks}
    if Verdict.REGRESSED in verdicts:
        raise typer.Exit(ExitCode.REGRESSION)
    raise typer.Exit(ExitCode.INCONCLUSIVE if strict and Verdict.INCONCLUSIVE in verdicts else ExitCode.DONE)


def tell(checks: list[Check], junit: Path | None, summary: Path | None, as_json: bool) -> None:
    """Say what came of the checks wherever it was asked for."""
    from ganbench.files import write_text

    from . import outputs
    from .check_tables import check_tables

    console = err if as_json else out
    told = teller(console)
    for check in checks:
        for table in check_tables(check):
            console.print(table)
        for verdict, sentence in outputs.sentences(check).values():
            told(f"{verdict.upper()}: {sentence}")
        if check.verdict == "inconclusive":
            err.print(
                "[bold yellow]INCONCLUSIVE: this check has proved nothing, neither a regression nor its absence[/]"
            )
    if junit:
        outputs.write_junit(checks, junit)
    if summary:
        write_text(summary, "\n".join(map(outputs.markdown, checks)))
    for line in outputs.tell_github(checks):
        (sys.stderr if as_json else sys.stdout).write(line + "\n")
    if as_json:
        print_json({"checks": [outputs.to_dict(check) for check in checks]})


def tell_self_test(tried: SelfTest, strict: bool, as_json: bool) -> ExitCode:
    """Say whether the gate can be believed here, and its exit code."""
    tell([tried.unchanged, tried.slowed], junit=None, summary=None, as_json=as_json)
    planted = f"a planted slowdown of {tried.planted:.0%}"
    if tried.believable:
        err.print(f"[bold green]self-test passed:[/] no regression of unchanged code, and {planted} was caught")
        return ExitCode.DONE
    if tried.believable is None:
        err.print(f"[bold yellow]self-test inconclusive:[/] this machine is too noisy to tell {planted} from none")
        return ExitCode.INCONCLUSIVE if strict else ExitCode.DONE
    err.print(f"[bold red]self-test failed:[/] unchanged code was called slower, or {planted} passed")
    return ExitCode.FAILED


def need_folders(*files: Path | None) -> None:
    """Raise `UsageError`, before minutes of measuring, for a file that could not be written after them."""
    for file in files:
        if file is not None and not file.resolve().parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.parent} to write it in")


def record(
    benchmark: Benchmark,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="A baseline; one that is there grows.")],
    sessions: Annotated[int, typer.Option(min=1, help="How many to measure.")] = 8,
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    windows: Windows = WINDOWS,
    window_seconds: WindowSeconds = WINDOW_SECONDS,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Measure sessions and store them, to check against later."""
    from .baseline import Baseline, load_baseline
    from .check import measure_all
    from .session import Arm

    measurement = measurement_of(benchmark, overrides, plugins, device, data_dir, windows, window_seconds)
    need_folders(file)
    before = load_baseline(file, benchmark) if file.exists() else None
    fresh = measure_all(Arm("now"), measurement, sessions, teller(out), [before] if before else [])
    whole = before.with_sessions(fresh) if before else Baseline(benchmark=benchmark, sessions=fresh)
    whole.save(file)
    out.print(f"{len(whole.sessions)} sessions in {file}", markup=False, highlight=False)


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline.")],
    as_json: AsJson = False,
) -> None:
    """Show what a baseline holds."""
    from .baseline import load_baseline
    from .check_tables import baseline_table

    baseline = load_baseline(file)
    if as_json:
        print_json(baseline.model_dump(mode="json"))
    else:
        out.print(baseline_table(str(file), baseline))


def stored_baselines(
    files: list[Path], missing: MissingBaseline, measurement: Measurement, told: Callable[[str], None]
) -> dict[str, Baseline]:
    """The baselines by their files. One that is missing is recorded and left out, if that was asked for."""
    from .baseline import ENOUGH_SESSIONS, Baseline, load_baseline
    from .check import measure_all
    from .session import Arm

    stored = {}
    need_folders(*files)
    for file in files:
        if missing == MissingBaseline.RECORD and not file.exists():
            told(f"{file} is not there: recording it, and there is nothing to check against")
            fresh = measure_all(Arm("now"), measurement, ENOUGH_SESSIONS, told)
            Baseline(benchmark=measurement.benchmark, sessions=fresh).save(file)
        else:
            stored[str(file)] = load_baseline(file, measurement.benchmark)
    return stored


def measurement_of(
    benchmark: str,
    overrides: list[str],
    plugins: list[str],
    device: str,
    data_dir: Path | None,
    windows: int,
    window_seconds: float,
) -> Measurement:
    from .session import Measurement

    return Measurement(
        benchmark=benchmark,
        overrides=list(overrides),
        plugins=list(plugins),
        device=device,
        data_dir=data_dir,
        windows=windows,
        window_seconds=window_seconds,
    )


def teller(console: Console) -> Callable[[str], None]:
    """Prints a line as it is."""
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)


def arms(
    against: str | None, against_python: Path | None, measurement: Measurement, stack: ExitStack
) -> tuple[Arm, Arm]:
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
