"""Report the outcome of a check: to the terminal, as JSON, to files, and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ganbench.errors import ExitCode
from ganbench.reporting.console import SafeConsole, err, out, print_json, print_text, warn_on_error
from ganbench.system.files import require_output_file, write_text

from . import outputs
from .check import Check
from .check_json import CheckRecord
from .check_tables import check_tables
from .decision.verdict import Verdict
from .self_test import SelfTest


def exit_code(checks: list[Check], strict: bool) -> ExitCode:
    verdicts = {check.verdict for check in checks}
    if Verdict.REGRESSED in verdicts:
        return ExitCode.REGRESSION
    return ExitCode.INCONCLUSIVE if strict and Verdict.INCONCLUSIVE in verdicts else ExitCode.DONE


def clear_outputs(files: Mapping[str, Path | None]) -> None:
    """Remove the outputs of an earlier check: if this one ends without a verdict, they would be mistaken for its own.

    `files` are by the option with which they were given. Raises `UsageError` if one cannot be written.
    """
    given = {option: file for option, file in files.items() if file is not None}
    for option, file in given.items():
        require_output_file(file, option)
    for file in given.values():
        if file.is_file() and not file.is_symlink():  # not /dev/stdout
            file.unlink()


def report(checks: list[Check], junit: Path | None, summary: Path | None, as_json: bool) -> None:
    """Write the outcome of the checks to all requested outputs. Failing to write one does not change the verdict."""
    console = show(checks, as_json)
    if junit:
        with warn_on_error(f"writing {junit}"):
            outputs.write_junit(checks, junit)
    if summary:
        with warn_on_error(f"writing {summary}"):
            write_text(summary, "\n".join(map(outputs.markdown, checks)))
    with warn_on_error("writing the summary of the GitHub job"):
        outputs.write_github_summary(checks)
    for line in outputs.github_annotations(checks):
        console.file.write(line + "\n")


def show(checks: list[Check], as_json: bool) -> SafeConsole:
    """Show the outcome of the checks in the terminal and, if requested, as JSON; return the console for other text."""
    console = err if as_json else out
    print_line = partial(print_text, console)
    for check in checks:
        for table in check_tables(check):
            console.print(table)
        for finding in check.findings.values():
            print_line(f"{finding.verdict.upper()}: {finding.message}")
        if check.verdict == Verdict.INCONCLUSIVE and (why := why_inconclusive(check)):
            err.print("[bold yellow]INCONCLUSIVE:[/] ", end="")
            print_text(err, why)
    if as_json:
        print_json({"checks": [CheckRecord.of(check).model_dump(mode="json") for check in checks]})
    return console


def why_inconclusive(check: Check) -> str:
    """Return why a check is inconclusive, because of noise or of what makes it advisory; empty for other reasons."""
    found = [finding for finding in check.findings.values() if finding.verdict == Verdict.INCONCLUSIVE]
    if any(finding.decision and finding.decision.verdict == Verdict.INCONCLUSIVE for finding in found):
        return "the data neither show nor exclude a regression; measure more, or use a quieter machine"
    if reasons := dict.fromkeys(reason for finding in found for reason in finding.advisory):
        return f"there is a regression, but it is advisory only: {'; '.join(reasons)}"
    return ""


def report_self_test(tested: SelfTest, strict: bool, as_json: bool) -> ExitCode:
    """Report whether the gate works on this machine, and return the exit code."""
    show([tested.unchanged, tested.slowed], as_json)
    slowdown = f"an injected slowdown of {tested.injected:.0%}"
    if tested.passed:
        err.print(f"[bold green]self-test passed:[/] unchanged code passed, and {slowdown} was detected")
        return ExitCode.DONE
    if tested.passed is None:
        err.print(
            f"[bold yellow]self-test inconclusive:[/] this machine is too noisy to judge unchanged code and {slowdown}"
        )
        return ExitCode.INCONCLUSIVE if strict else ExitCode.DONE
    flagged = ["unchanged code was flagged as a regression"] * (tested.unchanged.verdict == Verdict.REGRESSED)
    missed = [f"{slowdown} was not detected"] * (tested.slowed.verdict == Verdict.PASS)
    err.print(f"[bold red]self-test failed:[/] {', and '.join([*flagged, *missed])}")
    return ExitCode.FAILED
