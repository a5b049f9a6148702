"""Report the outcome of a check: to the terminal, as JSON, to files, and as an exit code."""

from __future__ import annotations

from pathlib import Path

from ganbench.errors import ExitCode
from ganbench.reporting.console import err, out, print_json
from ganbench.system.files import write_text

from . import outputs
from .check import Check
from .check_tables import check_tables
from .options import line_printer
from .self_test import SelfTest


def exit_code(checks: list[Check], strict: bool) -> ExitCode:
    verdicts = {check.verdict for check in checks}
    if "regressed" in verdicts:
        return ExitCode.REGRESSION
    return ExitCode.INCONCLUSIVE if strict and "inconclusive" in verdicts else ExitCode.DONE


def report(checks: list[Check], junit: Path | None, summary: Path | None, as_json: bool) -> None:
    """Write the outcome of the checks to all requested outputs."""
    console = err if as_json else out
    print_line = line_printer(console)
    for check in checks:
        for table in check_tables(check):
            console.print(table)
        for finding in check.findings.values():
            print_line(f"{finding.verdict.upper()}: {finding.message}")
        if check.verdict == "inconclusive":
            err.print(
                "[bold yellow]INCONCLUSIVE: the data neither show nor exclude a regression; measure more, or use a "
                "quieter machine[/]"
            )
    if junit:
        outputs.write_junit(checks, junit)
    if summary:
        write_text(summary, "\n".join(map(outputs.markdown, checks)))
    for line in outputs.github_annotations(checks):
        console.file.write(line + "\n")
    if as_json:
        print_json({"checks": [outputs.to_dict(check) for check in checks]})


def report_self_test(tested: SelfTest, strict: bool, as_json: bool) -> ExitCode:
    """Report whether the gate works on this machine, and return the exit code."""
    report([tested.unchanged, tested.slowed], junit=None, summary=None, as_json=as_json)
    slowdown = f"an injected slowdown of {tested.injected:.0%}"
    if tested.passed:
        err.print(f"[bold green]self-test passed:[/] unchanged code passed, and {slowdown} was detected")
        return ExitCode.DONE
    if tested.passed is None:
        err.print(f"[bold yellow]self-test inconclusive:[/] this machine is too noisy to detect {slowdown}")
        return ExitCode.INCONCLUSIVE if strict else ExitCode.DONE
    err.print(f"[bold red]self-test failed:[/] unchanged code was flagged, or {slowdown} was not")
    return ExitCode.FAILED
