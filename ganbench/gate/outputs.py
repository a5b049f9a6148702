"""A check for machines and for the pages of a CI service: JSON, JUnit XML, Markdown, GitHub's annotations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ganbench.files import write_text

from .check import Check, MemoryFinding, moved_most, phase_seconds
from .verdict import Finding, Verdict

SIGNS = {Verdict.PASS: "✅ pass", Verdict.INCONCLUSIVE: "⚠️ inconclusive", Verdict.REGRESSED: "❌ regressed"}


def sentences(check: Check) -> dict[str, tuple[Verdict, str]]:
    """Of each figure the verdict, and a sentence that says it with its numbers.

    What an advisory check finds worse is inconclusive, with the reason why it must not fail a build.
    """
    told = {name: (finding.verdict, finding_sentence(name, finding)) for name, finding in check.findings.items()}
    if "throughput" in told and told["throughput"][0] == Verdict.REGRESSED:
        verdict, sentence = told["throughput"]
        told["throughput"] = (verdict, f"{sentence}; most of it in the phase {moved_most(check)}")
    if check.memory:
        told["memory"] = (check.memory.verdict, memory_sentence(check.memory))
    for name, (verdict, sentence) in told.items():
        if check.advisory and verdict == Verdict.REGRESSED:
            told[name] = (Verdict.INCONCLUSIVE, f"{sentence}; advisory only: {'; '.join(check.advisory)}")
    return told


def finding_sentence(name: str, finding: Finding) -> str:
    change = f"{'better' if finding.effect < 0 else 'worse'} by {abs(finding.effect):.1%} of time"
    told = f"{name} is {change} (worse by between {finding.lower:+.1%} and {finding.upper:+.1%})"
    if finding.verdict == Verdict.INCONCLUSIVE:
        return f"{told}: too noisy to tell; more sessions, or a quieter machine, would"
    return f"{told}: would have caught {finding.smallest_detectable:.1%}" if finding.verdict == Verdict.PASS else told


def memory_sentence(memory: MemoryFinding) -> str:
    base, head = (f"{count / 2**20:,.0f} MiB" for count in (memory.base_bytes, memory.head_bytes))
    return f"peak memory was at most {base} on one side and at least {head} on the other"


def to_dict(check: Check) -> dict[str, Any]:
    """The whole check as plain JSON types: verdicts, numbers, and every session."""
    base, head = check.names
    return {
        "verdict": check.verdict,
        "benchmark": check.measurement.benchmark,
        "base": base,
        "head": head,
        "seed": check.seed,
        "advisory": list(check.advisory),
        "figures": {
            name: {
                "verdict": finding.verdict,
                "worse_by": finding.effect,
                "lower": finding.lower,
                "upper": finding.upper,
                "smallest_detectable": finding.smallest_detectable,
            }
            for name, finding in check.findings.items()
        },
        "memory": None
        if check.memory is None
        else {
            "verdict": check.memory.verdict,
            "base_bytes": check.memory.base_bytes,
            "head_bytes": check.memory.head_bytes,
        },
        "phases": {phase: {"base": before, "head": after} for phase, (before, after) in phase_seconds(check).items()},
        "differences": {what: fields for what, fields in check.differences.items() if fields},
        "sessions": {
            "base": [session.model_dump(mode="json") for session in check.sessions.base],
            "head": [session.model_dump(mode="json") for session in check.sessions.head],
        },
    }


def write_junit(checks: list[Check], path: Path) -> None:
    """A test suite a check, of a case a figure: regressed is a failure, inconclusive is skipped."""
    suites = ElementTree.Element("testsuites")
    for check in checks:
        suites.append(junit_suite(check))
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def junit_suite(check: Check) -> ElementTree.Element:
    told = sentences(check)
    verdicts = [verdict for verdict, _ in told.values()]
    suite = ElementTree.Element(
        "testsuite",
        name=f"ganbench check {check.measurement.benchmark} against {check.names[0]}",
        tests=str(len(told)),
        failures=str(verdicts.count(Verdict.REGRESSED)),
        skipped=str(verdicts.count(Verdict.INCONCLUSIVE)),
        errors="0",
    )
    for name, (verdict, sentence) in told.items():
        case = ElementTree.SubElement(suite, "testcase", classname=check.measurement.benchmark, name=name)
        if verdict == Verdict.REGRESSED:
            ElementTree.SubElement(case, "failure", message=sentence)
        elif verdict == Verdict.INCONCLUSIVE:
            ElementTree.SubElement(case, "skipped", message=sentence)
        else:
            ElementTree.SubElement(case, "system-out").text = sentence
    return suite


def markdown(check: Check) -> str:
    """A summary for the page of a pull request."""
    base, head = check.names
    lines = [
        f"### {SIGNS[check.verdict]}: `{check.measurement.benchmark}`, {head} against {base}",
        "",
        "| figure | verdict | worse by | between |",
        "|---|---|---|---|",
    ]
    told = sentences(check)
    for name, finding in check.findings.items():
        between = f"{finding.lower:+.1%} and {finding.upper:+.1%}"
        lines.append(f"| {name} | {SIGNS[told[name][0]]} | {finding.effect:+.1%} | {between} |")
    if check.memory:
        worse = f"{check.memory.head_bytes / check.memory.base_bytes - 1:+.1%}"
        lines.append(f"| memory | {SIGNS[told['memory'][0]]} | {worse} | |")
    lines += ["", "| phase | base, ms per 1,000 images | head | worse by |", "|---|---|---|---|"]
    for phase, (before, after) in phase_seconds(check).items():
        change = f"{after / before - 1:+.1%}" if before else ""
        lines.append(f"| {phase} | {before * 1e6:,.1f} | {after * 1e6:,.1f} | {change} |")
    lines.append("")
    lines += [f"- {sentence}" for _, sentence in told.values()]
    return "\n".join(lines) + "\n"


def tell_github(checks: list[Check]) -> list[str]:
    """Under GitHub Actions: the summary is written, and the lines that make annotations are returned."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write("\n".join(map(markdown, checks)))
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    levels = {Verdict.REGRESSED: "error", Verdict.INCONCLUSIVE: "warning"}
    return [
        f"::{levels[verdict]} title=ganbench check {check.measurement.benchmark}::{escaped(sentence)}"
        for check in checks
        for verdict, sentence in sentences(check).values()
        if verdict in levels
    ]


def escaped(message: str) -> str:
    """As GitHub wants the text of a workflow command."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
