"""Find out what each side would run, to skip measuring when both sides are identical."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from ganbench.errors import NotComparableError
from ganbench.results.record import Record
from ganbench.results.schema import NON_TRAINING_FIELDS

from .decision.verdict import Finding, Verdict
from .side import (
    Code,
    SessionConfig,
    SessionError,
    Side,
    Worker,
)

# fields of a metric in the spec that are part of its scores' protocol
SCORED = ("num_samples", "real_samples", "split", "weights", "generator_mode")


class Probe(Record):
    """Everything that determines what a side measures."""

    code: dict[str, Code] = Field(description="ganbench and the plugins that the benchmark uses, by package")
    files: dict[str, str] = Field(
        description="hashes of all files of these packages, and of other files read from the repository, by path"
    )
    spec: dict[str, Any] = Field(description="the resolved spec")
    data: str = Field(description="SHA-256 of the content of the data")
    environment: dict[str, Any] = Field(description="versions of Python and of all installed packages")
    foreign_code: list[str] = Field([], description="files with code that it read from the checkout of the other side")


@dataclass(frozen=True)
class Probes:
    """The probes of both sides, and their processes, which can go on to a training run."""

    base: Probe
    head: Probe
    workers: tuple[Worker, Worker] | None  # of base and head; None if they have ended

    @property
    def sides(self) -> tuple[Probe, Probe]:
        return self.base, self.head


@contextmanager
def probed(
    base: Side, head: Side, config: SessionConfig, training: Mapping[str, Any], scores: bool = True
) -> Iterator[Probes]:
    """Train both sides for a window: at once or, with `config.interleaved` off, one after the other.

    At once, their processes stay alive within the block, and can go on to a training run, for which `training`
    overrides these fields of the spec's `training`. Without `scores`, the metrics are not prepared.

    Raises `SessionError` if one crashes, and `NotComparableError` if one would run code that is not its own. Errors of
    head come first, because base then often has the same.
    """
    if not config.interleaved:
        head_probe = probe_alone(head, config, scores)
        yield Probes(probe_alone(base, config, scores), head_probe, workers=None)
        return
    with (
        base.start("probe", config, training, scores=scores) as one,
        head.start("probe", config, training, scores=scores) as other,
    ):
        head_probe = probe_of(other)
        yield Probes(probe_of(one), head_probe, workers=(one, other))


def probe_alone(side: Side, config: SessionConfig, scores: bool) -> Probe:
    with side.start("probe", config, scores=scores) as worker:
        return probe_of(worker)


def probe_of(worker: Worker) -> Probe:
    reply = worker.answer()
    try:
        probe = Probe.model_validate(reply)
    except ValidationError as error:
        raise SessionError(f"a session of {worker.side.name} sent an invalid reply: {error}") from None
    worker.side.require_own(probe.code)
    if probe.foreign_code:
        files = ", ".join(probe.foreign_code[:3])
        raise NotComparableError(
            f"{worker.side.name} would run code that is not its own: it reads {files} from the other side. Give paths "
            "relative to the code that uses them. If that code is built from source, install the revision into a "
            "separate environment, and use --against-python"
        )
    return probe


def are_equal(base: Side, head: Side, probes: Probes) -> bool:
    """Return whether both sides would run the same; an injected slowdown counts as a difference."""
    return base.delay == head.delay and what_runs(base, probes.base) == what_runs(head, probes.head)


def what_runs(side: Side, probe: Probe) -> dict[str, Any]:
    """Return what a side would run, independent of the location of its checkout."""
    text = json.dumps(
        {name: value for name, value in probe.spec.items() if name not in NON_TRAINING_FIELDS}, sort_keys=True
    )
    for folder in side.checkouts:  # so that paths in the repository are equal on both sides
        text = text.replace(json.dumps(str(folder))[1:-1], "")
    own = {"files": probe.files, "data": probe.data, "environment": probe.environment}
    return {"spec": text, "native_code": side.native_code, **own}


def require_same_scores(probes: Probes) -> None:
    """Raise `NotComparableError` if the specs show that scores or targets cannot be compared, before any training.

    Plugins' options are left out: how they enter a protocol is known only when there are scores.
    """
    before, now = ({metric["id"]: metric for metric in probe.spec.get("metrics", [])} for probe in probes.sides)
    reasons = [f"only base has the metric {metric_id}" for metric_id in before.keys() - now.keys()]
    reasons += [f"only head has the metric {metric_id}" for metric_id in now.keys() - before.keys()]
    for metric_id in before.keys() & now.keys():
        old, new = before[metric_id], now[metric_id]
        known = [name for name in SCORED if name in old and name in new]  # an earlier ganbench has fewer fields
        reasons += [f"{name} of {metric_id}: {old[name]} and {new[name]}" for name in known if old[name] != new[name]]
    targets = [", ".join(map(describe_target, probe.spec.get("targets", []))) or "none" for probe in probes.sides]
    if targets[0] != targets[1]:
        reasons.append(f"targets: {' and '.join(targets)}")
    if reasons:
        raise NotComparableError(
            f"the scores of the two sides are not comparable: {'; '.join(sorted(reasons))}. Set these with -o for both "
            "sides, or check without --quality"
        )
    if (budget := probes.base.spec["training"].get("budget_seconds")) is not None:  # head's would be refused before
        raise NotComparableError(
            f"the scores of the two sides are not comparable: base has training.budget_seconds = {budget:g}, so its "
            "seeds would train for different numbers of steps. Compare with a revision without it, or check without "
            "--quality"
        )


def describe_target(target: dict[str, Any]) -> str:
    return f"{target['metric']} {target['value']}"


NOTHING_TO_MEASURE = Finding(
    Verdict.PASS,
    ("the same", "the same"),
    "code, spec, data and environment are the same on both sides, so there is nothing to measure (use "
    "--always-measure to measure anyway)",
)
