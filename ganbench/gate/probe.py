"""Find out what each side would run, to skip measuring when both sides are identical."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, ValidationError

from ganbench.results.record import Record
from ganbench.results.schema import NON_TRAINING_FIELDS

from .side import (
    Code,
    SessionConfig,
    SessionError,
    Side,
    Worker,
)
from .verdict import Finding, Verdict


class Probe(Record):
    """Everything that determines what a side measures."""

    code: dict[str, Code] = Field(description="ganbench and the plugins that the benchmark uses, by package")
    files: dict[str, str] = Field(
        description="hashes of all files of these packages, and of other files read from the repository, by path"
    )
    spec: dict[str, Any] = Field(description="the resolved spec")
    data: str = Field(description="SHA-256 of the content of the data")
    environment: dict[str, Any] = Field(description="versions of Python and of all installed distributions")


def probe_sides(base: Side, head: Side, config: SessionConfig, scores: bool = True) -> tuple[Probe, Probe]:
    """Run both sides up to the start of training: at once or, with `config.interleaved` off, one after the other.

    Without `scores`, the metrics are not prepared.

    Raises `SessionError` if one crashes, and `NotComparableError` if one would run code that is not its own. Errors of
    head come first, because base then often has the same.
    """
    if not config.interleaved:
        head_probe = probe_alone(head, config, scores)
        return probe_alone(base, config, scores), head_probe
    with base.start("probe", config, scores=scores) as one, head.start("probe", config, scores=scores) as other:
        head_probe = probe_of(other)
        return probe_of(one), head_probe


def probe_alone(side: Side, config: SessionConfig, scores: bool) -> Probe:
    with side.start("probe", config, scores=scores) as worker:
        return probe_of(worker)


def probe_of(worker: Worker) -> Probe:
    reply = worker.last_answer()
    try:
        probe = Probe.model_validate(reply)
    except ValidationError as error:
        raise SessionError(f"a session of {worker.side.name} sent an invalid reply: {error}") from None
    worker.side.require_own(probe.code)
    return probe


def are_equal(base: Side, head: Side, probes: tuple[Probe, Probe]) -> bool:
    """Return whether both sides would run the same; an injected slowdown counts as a difference."""
    return base.delay == head.delay and what_runs(base, probes[0]) == what_runs(head, probes[1])


def what_runs(side: Side, probe: Probe) -> dict[str, Any]:
    """Return what a side would run, independent of the location of its checkout."""
    text = json.dumps(
        {name: value for name, value in probe.spec.items() if name not in NON_TRAINING_FIELDS}, sort_keys=True
    )
    for folder in side.checkouts:  # so that paths in the repository are equal on both sides
        text = text.replace(json.dumps(str(folder))[1:-1], "")
    return {"spec": text, "files": probe.files, "data": probe.data, "environment": probe.environment}


NOTHING_TO_MEASURE = Finding(
    Verdict.PASS,
    ("the same", "the same"),
    "code, spec, data and environment are the same on both sides, so there is nothing to measure (use "
    "--always-measure to measure anyway)",
)
