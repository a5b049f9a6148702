"""A check for machines and for the pages of a CI service: JSON, JUnit XML, Markdown, GitHub's annotations."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ganbench.reporting.console import printable
from ganbench.system.files import write_text

from .check import Check
from .speed import clocks_mhz, phase_seconds
from .verdict import Finding, Verdict

SIGNS = {
    Verdict.PASS: "✅ pass",
    Verdict.WARNING: "⚠️ warning",
    Verdict.INCONCLUSIVE: "❔ inconclusive",
    Verdict.REGRESSED: "❌ regressed",
}
ANNOTATIONS = {Verdict.WARNING: "warning", Verdict.INCONCLUSIVE: "warning", Verdict.REGRESSED: "error"}


def to_dict(check: Check) -> dict[str, Any]:
    """The whole check as plain JSON types: verdicts, numbers, and all that was measured."""
    base, head = check.names
    evidence = check.evidence
    parts = {"sessions": evidence.sessions, "smoke": evidence.smoke, "quality": evidence.quality}
    measured = {name: {"base": part.base, "head": part.head} for name, part in parts.items() if part}
    phases = phase_seconds(evidence.sessions) if evidence.sessions else {}
    return {
        "verdict": check.verdict,
        "benchmark": check.benchmark,
        "base": base,
        "head": head,
        "order_seed": check.order_seed,
        "advisory": list(check.advisory),
        "figures": {name: figure(finding) for name, finding in check.findings.items()},
        "phases": {phase: {"base": before, "head": after} for phase, (before, after) in phases.items()},
        "differences": check.differences,
        **{
            name: {side: [record.model_dump(mode="json") for record in records] for side, records in sides.items()}
            for name, sides in measured.items()
        },
    }


def figure(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": finding.verdict, "base": finding.sides[0], "head": finding.sides[1]}
    if finding.judgement:
        numbers = asdict(finding.judgement)
        told |= {"worse_by": numbers.pop("effect"), **{key: numbers[key] for key in numbers if key != "verdict"}}
    return {**told, "sentence": finding.sentence}


def write_junit(checks: list[Check], path: Path) -> None:
    """A test suite a check, of a case a figure: regressed is a failure, inconclusive is skipped."""
    suites = ElementTree.Element("testsuites")
    for check in checks:
        suites.append(junit_suite(check))
    ElementTree.indent(suites)
    text = printable(
        ElementTree.tostring(suites, encoding="unicode")
    )  # XML has no way to write most control characters
    write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def junit_suite(check: Check) -> ElementTree.Element:
    verdicts = [finding.verdict for finding in check.findings.values()]
    suite = ElementTree.Element(
        "testsuite",
        name=f"ganbench check {check.benchmark} against {check.names[0]}",
        tests=str(len(verdicts)),
        failures=str(verdicts.count(Verdict.REGRESSED)),
        skipped=str(verdicts.count(Verdict.INCONCLUSIVE)),
        errors="0",
    )
    for name, finding in check.findings.items():
        case = ElementTree.SubElement(suite, "testcase", classname=check.benchmark, name=name)
        if finding.verdict == Verdict.REGRESSED:
            ElementTree.SubElement(case, "failure", message=finding.sentence)
        elif finding.verdict == Verdict.INCONCLUSIVE:
            ElementTree.SubElement(case, "skipped", message=finding.sentence)
        else:
            ElementTree.SubElement(case, "system-out").text = f"{finding.verdict}: {finding.sentence}"
    return suite


def markdown(check: Check) -> str:
    """A summary for the page of a pull request."""
    base, head = check.names
    lines = [
        f"### {SIGNS[check.verdict]}: {escaped(f'{check.benchmark}, {head} against {base}')}",
        "",
        "| figure | verdict | base | head | worse by | between |",
        "|---|---|---|---|---|---|",
    ]
    for name, finding in check.findings.items():
        cells = [name, SIGNS[finding.verdict], *finding.sides, *bounds(finding)]
        lines.append(f"| {' | '.join(map(escaped, cells))} |")
    if check.evidence.sessions:
        lines += ["", "| phase | base, ms per 1,000 images | head | worse by |", "|---|---|---|---|"]
        for phase, (before, after) in phase_seconds(check.evidence.sessions).items():
            change = f"{after / before - 1:+.1%}" if before else ""
            lines.append(f"| {escaped(phase)} | {before * 1e6:,.1f} | {after * 1e6:,.1f} | {change} |")
        if clocks := clocks_mhz(check.evidence.sessions):
            lines.append(f"| the GPU's clock, MHz | {clocks[0]:,.0f} | {clocks[1]:,.0f} | |")
    lines.append("")
    lines += [f"- {escaped(finding.sentence)}" for finding in check.findings.values()]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text on one line that Markdown takes for nothing else: names come from files, plugins and revisions."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", printable(text).replace("\n", " "))


def bounds(finding: Finding) -> tuple[str, str]:
    """By how much it is worse, and between which bounds, as people read it."""
    judgement = finding.judgement
    if judgement is None:
        return "", ""
    return f"{judgement.effect:+.1%}", f"{judgement.lower:+.1%} and {judgement.upper:+.1%}"


def tell_github(checks: list[Check]) -> list[str]:
    """Under GitHub Actions: the summary is written, and the lines that make annotations are returned."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write("\n".join(map(markdown, checks)))
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    return [
        f"::{ANNOTATIONS[finding.verdict]} title=ganbench check {check.benchmark}::{as_data(finding.sentence)}"
        for check in checks
        for finding in check.findings.values()
        if finding.verdict in ANNOTATIONS
    ]


def as_data(message: str) -> str:
    """As GitHub wants the text of a workflow command."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
