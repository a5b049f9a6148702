"""The JSON schema of result.json: a real result keeps it, and no field may be missing, unknown or of another type."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from trained_run import THREE_STEPS, make_run, scored, with_hash

from ganbench import Registry
from ganbench.results.schema import result_schema

# fields whose content is not the schema's: of the spec, of plugins, of the machine
FREE = {"spec", "must_match", "may_differ", "phases", "conditions", "protocol", "software", "artifacts"}
SCORED = [
    f"metrics=[{scored(50).replace('at_epochs=[]', 'at_epochs=[0]')}]",
    "targets=[{metric='image-hash',value=1}]",
    "references=[{label='a paper',metric='image-hash',value=1,band=1,source='doi',protocol={split='test'}}]",
]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A result with history, windows, a score, a target and a reference, as it is on disk."""
    folder = tmp_path_factory.mktemp("result")
    make_run(with_hash(Registry.load()), folder / "run", [*THREE_STEPS, *SCORED])
    stored: dict[str, Any] = json.loads((folder / "run" / "result.json").read_text(encoding="utf-8"))
    return stored


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(result_schema())


def fields(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each field that the schema describes."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(node, dict):
            yield (*path, key)
        if key not in FREE:
            yield from fields(value, (*path, key))


def table_of(document: Any, path: tuple[str | int, ...]) -> Any:
    """Return the table that contains the field."""
    for key in path[:-1]:
        document = document[key]
    return document


def test_a_result_keeps_the_schema(result: dict[str, Any], validator: Draft202012Validator) -> None:
    assert result["history"]
    assert result["throughput"]["windows"]
    assert result["targets"][0]["reached"]
    assert result["references"]
    assert not list(validator.iter_errors(result))


def test_no_field_may_be_missing(result: dict[str, Any], validator: Draft202012Validator) -> None:
    paths = list(fields(result))
    assert len(paths) > 100
    for path in paths:
        if path[0] == "history" and path[-1] not in ("epoch", "d_loss", "g_loss", "images", "seconds"):
            continue  # monitors of the loss
        document = copy.deepcopy(result)
        del table_of(document, path)[path[-1]]
        assert not validator.is_valid(document), path


def test_no_field_may_be_unknown(result: dict[str, Any], validator: Draft202012Validator) -> None:
    for path in fields(result):
        if path[0] != "history":
            document = copy.deepcopy(result)
            table_of(document, path)["unknown"] = 1
            assert not validator.is_valid(document), path


def test_values_have_types(result: dict[str, Any], validator: Draft202012Validator) -> None:
    for path, wrong in (
        (("status",), "done"),
        (("schema_version",), 2),
        (("throughput", "windows", 0, "images"), 1.5),
        (("metrics", 0, "value"), "1.0"),
        (("history", 0, "real_score"), "high"),
    ):
        document = copy.deepcopy(result)
        table_of(document, path)[path[-1]] = wrong
        assert [error.absolute_path[-1] for error in validator.iter_errors(document)] == [path[-1]]
