"""Before anything is measured: what each side would run, and whether there is anything to tell apart."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from ganbench.results.schema import Record
from ganbench.spec.benchmark import NON_TRAINING_FIELDS

from .arm import (
    Arm,
    Code,
    Measurement,
    SessionError,
    Worker,
)
from .verdict import Finding, Verdict


class Probe(Record):
    """All that decides what a side would measure."""

    code: dict[str, Code]  # ganbench and the plugins that the benchmark uses
    files: dict[str, str]  # hashes of all files of these packages, and of what else was read from the repository
    spec: dict[str, Any]  # resolved
    data: str  # the SHA-256 of its content
    environment: dict[str, Any]  # Python and all that is installed


def probe_sides(base: Arm, head: Arm, measurement: Measurement) -> tuple[Probe, Probe]:
    """Both sides, at the same time, as far as the moment when training would begin.

    Raises `SessionError` if one crashes, and `NotComparableError` where one would not run code of its own.
    """
    with base.start("probe", measurement) as one, head.start("probe", measurement) as other:
        return probe_of(one), probe_of(other)


def probe_of(worker: Worker) -> Probe:
    told = worker.last_answer()
    try:
        probe = Probe.model_validate(told)
    except ValidationError as error:
        raise SessionError(f"a session of {worker.arm.name} sent an invalid reply: {error}") from None
    worker.arm.need_own(probe.code)
    return probe


def are_equal(base: Arm, head: Arm, probes: tuple[Probe, Probe]) -> bool:
    """Whether both sides would do the very same; a slowdown that is planted into one is a difference."""
    return base.delay == head.delay and what_runs(base, probes[0]) == what_runs(head, probes[1])


def what_runs(arm: Arm, probe: Probe) -> dict[str, Any]:
    """What a side would run, wherever its checkout is."""
    text = json.dumps(
        {name: value for name, value in probe.spec.items() if name not in NON_TRAINING_FIELDS}, sort_keys=True
    )
    for folder in arm.checkouts:  # the repository's files have the same paths in each
        text = text.replace(json.dumps(str(folder))[1:-1], "")
    return {"spec": text, "files": probe.files, "data": probe.data, "environment": probe.environment}


NOTHING_TO_MEASURE = Finding(
    Verdict.PASS,
    ("the same", "the same"),
    "code, spec, data and environment are the same on both sides, so there is nothing to measure (--always-measure "
    "measures all the same)",
)
