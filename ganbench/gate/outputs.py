"""Outputs of a check for CI services: JUnit XML, Markdown and GitHub annotations."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

from ganbench.reporting.console import printable
from ganbench.system.files import write_text

from .check import INCOMPLETE, Check
from .decision.verdict import Verdict, bounds
from .quantities.speed import phase_rows

LABELS = {
    Verdict.PASS: "✅ pass",
    Verdict.WARNING: "⚠️ warning",
    Verdict.INCONCLUSIVE: "❔ inconclusive",
    Verdict.REGRESSED: "❌ regressed",
}
ANNOTATIONS = {Verdict.WARNING: "warning", Verdict.INCONCLUSIVE: "warning", Verdict.REGRESSED: "error"}


def write_junit(checks: list[Check], path: Path) -> None:
    """Write one test suite per check, with one case per quantity: regressed is a failure, inconclusive is skipped.

    What was not checked, because of an error or an interruption, is an error.
    """
    suites = ElementTree.Element("testsuites")
    for check in checks:
        suites.append(junit_suite(check))
    ElementTree.indent(suites)
    text = printable(ElementTree.tostring(suites, encoding="unicode"))  # XML cannot encode most control characters
    write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def junit_suite(check: Check) -> ElementTree.Element:
    verdicts = [finding.verdict for finding in check.findings.values()]
    incomplete = int(INCOMPLETE in check.findings)
    suite = ElementTree.Element(
        "testsuite",
        name=f"ganbench check {check.benchmark} against {check.names[0]}",
        tests=str(len(verdicts)),
        failures=str(verdicts.count(Verdict.REGRESSED)),
        skipped=str(verdicts.count(Verdict.INCONCLUSIVE) - incomplete),
        errors=str(incomplete),
    )
    for name, finding in check.findings.items():
        case = ElementTree.SubElement(suite, "testcase", classname=check.benchmark, name=name)
        if finding.verdict == Verdict.REGRESSED:
            ElementTree.SubElement(case, "failure", message=finding.message)
        elif name == INCOMPLETE:
            ElementTree.SubElement(case, "error", message=finding.message)
        elif finding.verdict == Verdict.INCONCLUSIVE:
            ElementTree.SubElement(case, "skipped", message=finding.message)
        else:
            ElementTree.SubElement(case, "system-out").text = f"{finding.verdict}: {finding.message}"
    return suite


def markdown(check: Check) -> str:
    """Format a check as a Markdown summary, for the page of a pull request."""
    base, head = check.names
    lines = [
        f"### {LABELS[check.verdict]}: {escaped(f'{check.benchmark}, {head} against {base}')}",
        "",
        "| quantity | verdict | base | head | worse by | bounds |",
        "|---|---|---|---|---|---|",
    ]
    for name, finding in check.findings.items():
        cells = [name, LABELS[finding.verdict], *finding.sides, *bounds(finding)]
        lines.append(f"| {' | '.join(map(escaped, cells))} |")
    if check.measurements.sessions:
        lines += ["", "| phase | base, ms per 1,000 images | head | change |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(map(escaped, row))} |" for row in phase_rows(check.measurements.sessions)]
    lines.append("")
    lines += [f"- {escaped(finding.message)}" for finding in check.findings.values()]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Escape Markdown, and join lines: names come from files, plugins and revisions."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", printable(text).replace("\n", " "))


def write_github_summary(checks: list[Check]) -> None:
    """Under GitHub Actions, append to the job summary."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write("\n".join(map(markdown, checks)))


def github_annotations(checks: list[Check]) -> list[str]:
    """Return the annotation lines under GitHub Actions; none elsewhere."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    return [
        f"::{ANNOTATIONS[finding.verdict]} title={escape_property(title)}::{escape_annotation(finding.message)}"
        for check in checks
        for title in [f"ganbench check {check.benchmark}"]
        for finding in check.findings.values()
        if finding.verdict in ANNOTATIONS
    ]


def escape_annotation(message: str) -> str:
    """Escape a message for a GitHub workflow command."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(value: str) -> str:
    """Escape a property of a GitHub workflow command, in which a colon or a comma would end it."""
    return escape_annotation(value).replace(":", "%3A").replace(",", "%2C")
