"""Which runs form a row of a leaderboard, and what the rows are called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .differences import differing_fields, flatten
from .run_collection import FoundRun
from .schema import NON_TRAINING_FIELDS, Result

SEED = "training.seed"
CODE, DATA = "code of ", "content of the data"
# kinds of plugins that scores have in their protocol and software, or that affect no results
NON_TRAINING_KINDS = {"benchmark", "metric", "feature-extractor", "tracker", "executor"}
GANBENCH = "ganbench"  # the distribution whose changes are noted, like those of torch, and split no rows
DIGITS = 16  # hexadecimal digits of a SHA-256 in a label, as in a protocol


def group_by_row(runs: Iterable[FoundRun]) -> dict[str, list[FoundRun]]:
    """Return the runs by row, that is, by everything that affects results except the seed; keys are distinct labels."""
    with_settings: dict[str, list[FoundRun]] = {}
    for run in with_common_datasets(list(runs)):
        with_settings.setdefault(json.dumps(settings(run), sort_keys=True), []).append(run)
    rows = [row for same in with_settings.values() for row in split_by_content(same)]
    return dict(zip(row_labels([row[0] for row in rows]), rows, strict=True))


def with_common_datasets(runs: Sequence[FoundRun]) -> list[FoundRun]:
    """Return the runs with one `dataset` in the specs of all that had the same data, such as a folder that moved.

    The data of a run without a result is that of the runs with the same `dataset`.
    """
    first: dict[str, Any] = {}  # by the content of the data
    known: dict[str, Any] = {}  # by the dataset of a spec
    for run in runs:
        if run.result is not None:
            dataset = run.spec.get("dataset")
            known[json.dumps(dataset, sort_keys=True)] = first.setdefault(run.result.data.content_sha256, dataset)

    def common_dataset(run: FoundRun) -> Any:
        if run.result is not None:
            return first[run.result.data.content_sha256]
        dataset = run.spec.get("dataset")
        return known.get(json.dumps(dataset, sort_keys=True), dataset)

    return [replace(run, spec={**run.spec, "dataset": common_dataset(run)}) for run in runs]


def split_by_content(runs: Sequence[FoundRun]) -> list[list[FoundRun]]:
    """Split runs with equal settings by their data and the code of the user's plugins, as far as it is known.

    Runs without a result join the row with the latest result.
    """
    rows: list[tuple[dict[str, str], list[FoundRun]]] = []
    for run in runs:
        if run.result is None:
            continue
        own = content(run)
        alike = (row for row in rows if all(row[0].get(name, source) == source for name, source in own.items()))
        known, members = next(alike, ({}, []))
        if not members:
            rows.append((known, members))
        known |= own
        members.append(run)
    unfinished = [run for run in runs if run.result is None]
    if not rows:
        return [unfinished]
    latest = max((members for _, members in rows), key=lambda row: max(r.result.created_at for r in row if r.result))
    latest += unfinished
    return [members for _, members in rows]


def row_fields(run: FoundRun) -> dict[str, Any]:
    """Return what the runs of a row have in common, by name."""
    return settings(run) | content(run)


def content(run: FoundRun) -> dict[str, str]:
    """Return the hashes of the data, and of the code of the user's plugins that took part in training, if recorded."""
    data = {DATA: run.result.data.content_sha256[:DIGITS]} if run.result else {}
    code = training_code(run.result).items()
    return data | {name: source for name, (distribution, source) in code if distribution != GANBENCH}


def training_code(result: Result | None) -> dict[str, tuple[str, str]]:
    """Return the distribution and the hash of the code of each plugin that took part in training, if recorded."""
    return {
        f"{CODE}{plugin.kind} {plugin.name}": (plugin.distribution, plugin.source)
        for plugin in (result.plugins if result else [])
        if plugin.kind not in NON_TRAINING_KINDS and plugin.source
    }


def differing_code(results: Iterable[Result]) -> dict[str, tuple[str, ...]]:
    """Return those of ganbench's own plugins whose code differs between results that use them, with the hashes."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for name, (distribution, source) in training_code(result).items():
            if distribution == GANBENCH:
                found.setdefault(name, {})[source] = None
    return {name: tuple(sources) for name, sources in found.items() if len(sources) > 1}


def settings(run: FoundRun) -> dict[str, Any]:
    """Return the part of the spec that affects results; an evaluation, whose seed is unknown, is a row of its own."""
    relevant = {key: value for key, value in run.spec.items() if key not in NON_TRAINING_FIELDS}
    relevant["processes"] = run.processes
    own = {} if run.trained else {"file": str(run.path)}
    # another version of a plugin may not have stored an unset option at all
    return {path: value for path, value in flatten(relevant | own).items() if path != SEED and value is not None}


def row_labels(runs: Sequence[FoundRun]) -> list[str]:
    """Return a distinct label for each row: the benchmark's name, and as few differing fields as possible."""
    labels = [run.name for run in runs]
    flat = [row_fields(run) for run in runs]
    differing = sorted(
        differing_fields(flat),
        key=lambda path: (path.startswith((CODE, DATA)), path.count("."), not path.endswith("name")),
    )
    for path in differing:
        if len(set(labels)) == len(runs):
            break
        longer = [f"{label}, {field_text(path, fields.get(path))}" for label, fields in zip(labels, flat, strict=True)]
        if len(set(longer)) > len(set(labels)):
            labels = longer
    used: Counter[str] = Counter()
    numbered = []
    for label in labels:
        used[label] += 1
        numbered.append(f"{label} ({used[label]})" if used[label] > 1 else label)
    return numbered


def field_text(path: str, value: Any) -> str:
    return f"{path.removesuffix('.name')}={'none' if value is None else value}"
