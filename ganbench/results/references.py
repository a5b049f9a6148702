"""Whether a run reproduces the published scores that its benchmark refers to.

A published score says nothing about a run that was trained, scored or stopped differently, so the verdict on such a run
is "not comparable", with everything that differs. Otherwise it depends on the reference's band alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .comparability import compare_scores
from .differences import ABSENT, differing_fields, flatten
from .schema import MetricResult, ReferenceResult, Result

# the parts of a spec that decide how the networks are trained; protocols cover how they are scored
TRAINING_SETTINGS = ("model", "loss", "dataset", "optimizer", "training", "penalties", "augmentations", "ema")
# any seed may reproduce a score, and `message` reports a budget that ended training early
FREE_SETTINGS = {"training.seed", "training.budget_seconds"}
MAX_NAMED = 6  # differing settings that a verdict names


@dataclass(frozen=True)
class StatedProtocol:
    """The part of a score's protocol that a publication states."""

    protocol: Mapping[str, Any]
    software: Mapping[str, str] = field(default_factory=dict)  # not recorded in publications


def training_settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a spec that a run must share with a reference."""
    return {part: spec[part] for part in TRAINING_SETTINGS if part in spec}


def judge_references(result: Result) -> list[ReferenceResult]:
    """Compare a result with each reference of its spec."""
    return [judge_reference(reference, result) for reference in result.spec.get("references", [])]


def judge_reference(reference: Mapping[str, Any], result: Result) -> ReferenceResult:
    """Compare a result with one reference, given as in a spec."""
    metric = next((metric for metric in result.metrics if metric.id == reference["metric"]), None)
    measured = None if metric is None else metric.value
    differences = [
        *training_differences(reference, result),
        *data_differences(reference, result),
        *score_differences(reference, metric),
    ]
    if differences or measured is None:
        verdict = "not comparable"
    else:
        verdict = "within" if abs(measured - reference["value"]) <= reference["band"] else "outside"
    stored = {name: reference.get(name) for name in ("label", "metric", "value", "std", "band", "source", "note")}
    return ReferenceResult(**stored, measured=measured, verdict=verdict, differences=differences)


def training_differences(reference: Mapping[str, Any], result: Result) -> Iterator[str]:
    """Yield why the run was not trained as the reference requires."""
    if result.status != "completed":
        yield f"the run is {result.status}"
    elif result.message:
        yield result.message
    if (processes := result.throughput.processes) > 1:
        yield f"it was trained by {processes} processes, not by one"
    expected, found = (flatten(settings) for settings in (reference["settings"], training_settings(result.spec)))
    fields = {
        path: values
        for path, values in differing_fields([expected, found]).items()
        # the fingerprint identifies the data, wherever it was read from
        if path not in FREE_SETTINGS and not (path.startswith("dataset.") and reference.get("data_fingerprint"))
    }
    yield from (describe_difference(path, values) for path, values in list(fields.items())[:MAX_NAMED])
    if len(fields) > MAX_NAMED:
        yield f"{len(fields) - MAX_NAMED} more settings"


def data_differences(reference: Mapping[str, Any], result: Result) -> Iterator[str]:
    """Yield whether the run used other data."""
    expected = reference.get("data_fingerprint")
    if expected and expected != result.data.fingerprint:
        yield f"the data is not the published data (source: {result.data.source})"


def score_differences(reference: Mapping[str, Any], metric: MetricResult | None) -> Iterator[str]:
    """Yield why the score is missing, or how its protocol differs."""
    if metric is None:
        yield f"the run has no score '{reference['metric']}'"
        return
    if metric.value is None:
        yield f"the run has no finite score '{reference['metric']}' at its end"
    published = StatedProtocol(reference["protocol"])
    found = StatedProtocol({name: metric.protocol.get(name, ABSENT) for name in published.protocol})
    for name, values in compare_scores([published, found]).protocol.items():
        yield describe_difference(name, values)


def describe_difference(name: str, values: tuple[Any, ...]) -> str:
    expected, found = ("none" if value is ABSENT else value for value in values)
    return f"{name} is {found}, not {expected}"
