"""JSON schemas of specs and suites: what ganbench accepts keeps them, and mistakes break them, at the right place."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from jsonschema import Draft202012Validator

from ganbench.errors import ExitCode
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Benchmark
from ganbench.plugin.registry import Registry
from ganbench.spec.json_schema import spec_schema, suite_schema
from ganbench.spec.loading import load_spec
from ganbench.spec.schema_files import SPEC, SUITE, schema_files

ROOT = Path(__file__).parents[2]

OWN_MODEL = """
from pydantic import Field
from ganbench import LossConfig, LossPlugin, ModelPlugin, Options, hookimpl

class TinyOptions(Options):
    depth: int = Field(description="number of layers", ge=1)

class WrapperOptions(Options):
    inner: LossConfig

@hookimpl
def ganbench_models():
    return [ModelPlugin(name="tiny", summary="Tiny", options=TinyOptions, build=print)]

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="wrapper", summary="Wraps another loss", options=WrapperOptions, build=print)]
"""


def errors(schema: dict[str, Any], document: Any) -> dict[str, str]:
    """Return the messages of a validator by the path of the wrong value."""
    return {error.json_path: error.message for error in Draft202012Validator(schema).iter_errors(document)}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return spec_schema(Registry.load().all_plugins())


@pytest.fixture
def spec(registry: Registry) -> dict[str, Any]:
    """The spec of the homework, resolved."""
    return load_spec("dcgan-fashion", registry).to_dict()


def test_the_schemas_that_come_with_ganbench_are_those_of_its_plugins(registry: Registry) -> None:
    for file, content in schema_files(registry).items():
        Draft202012Validator.check_schema(content)
        stored = json.loads(file.read_text(encoding="utf-8"))
        assert stored == content, f"{file.name} is out of date: run `python -m ganbench.spec.schema_files`"


def test_only_a_default_is_null(schema: dict[str, Any]) -> None:
    """TOML cannot represent null, so a field that was set to it would be read as its default when a run is resumed."""

    def lost(node: Any, path: str) -> list[str]:
        if isinstance(node, list):
            return [found for number, item in enumerate(node) for found in lost(item, f"{path}[{number}]")]
        if not isinstance(node, dict):
            return []
        nullable = {"type": "null"} in node.get("anyOf", ()) and node.get("default") is not None
        return [path] * nullable + [found for key, item in node.items() for found in lost(item, f"{path}.{key}")]

    assert not lost(schema, "$")


@pytest.mark.parametrize("file", sorted((ROOT / "plugins").rglob("*.toml")), ids=lambda file: file.stem)
def test_shipped_benchmarks_keep_the_schema_as_files_and_resolved(
    file: Path, schema: dict[str, Any], registry: Registry
) -> None:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    for document in (content, load_spec(str(file), registry).to_dict()):
        assert not errors(schema, document)
        assert not errors(json.loads(SPEC.read_text(encoding="utf-8")), document)


def test_every_registered_benchmark_keeps_the_schema(schema: dict[str, Any], registry: Registry) -> None:
    for found in registry.of_kind(Kind.BENCHMARK):
        assert isinstance(found.plugin, Benchmark)
        assert not errors(schema, found.plugin.spec), found


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (lambda spec: spec["model"].update(widht=8), "$.model", "'widht' was unexpected"),
        (lambda spec: spec["model"].update(width="8"), "$.model.width", "'8' is not of type 'integer'"),
        (
            lambda spec: spec["model"].update(dropout=1.5),
            "$.model.dropout",
            "greater than or equal to the maximum of 1",
        ),
        (lambda spec: spec.update(model="dcgna"), "$.model", "'dcgna' is not valid"),
        (lambda spec: spec["model"].update(name="dcgna"), "$.model.name", "'dcgna' is not valid"),
        (lambda spec: spec["loss"].pop("name"), "$.loss", "'name' is a required property"),
        (lambda spec: spec.pop("training"), "$", "'training' is a required property"),
        (lambda spec: spec.update(trainng={}), "$", "'trainng' was unexpected"),
        (lambda spec: spec["training"].update(epochs=0), "$.training.epochs", "0 is not valid"),
        (lambda spec: spec["metrics"][0]["features"].update(x=1), "$.metrics[0].features", "'x' was unexpected"),
        (lambda spec: spec["metrics"][0].update(at_epochs=[-1]), "$.metrics[0].at_epochs[0]", "minimum of 0"),
        (lambda spec: spec.update(penalties=[{"name": "r1"}]), "$.penalties[0]", "'weight' is a required property"),
        (
            lambda spec: spec["optimizer"]["generator"].update(lr={"name": "cosine", "stop": 1}),
            "$.optimizer.generator.lr",
            "is not valid",
        ),
    ],
)
def test_a_mistake_is_found_where_it_is(
    change: Callable[[dict[str, Any]], Any], path: str, message: str, schema: dict[str, Any], spec: dict[str, Any]
) -> None:
    change(spec)
    found = errors(schema, spec)
    assert message in found[path]
    assert len(found) == 1


def test_a_schedule_may_replace_a_number_and_a_name_a_table(schema: dict[str, Any], spec: dict[str, Any]) -> None:
    spec["optimizer"]["generator"]["lr"] = {"name": "cosine", "start": 2e-4}
    spec["penalties"] = [{"name": "r1", "weight": {"name": "cosine", "start": 1.0}}]
    spec["loss"] = "hinge"
    spec["model"]["name"] = "dcgan@ganbench"
    assert not errors(schema, spec)
    spec["model"]["widht"] = 8
    assert "'widht' was unexpected" in errors(schema, spec)["$.model"]


def test_plugins_that_are_not_shipped_break_the_schema_only_if_they_are_not_in_it(
    spec: dict[str, Any], registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "tiny.py").write_text(OWN_MODEL)
    own = Registry.load([str(tmp_path / "tiny.py")]).all_plugins()
    spec["model"] = {"name": "tiny", "depth": 3}
    spec["loss"] = {"name": "wrapper", "inner": {"name": "wrapper", "inner": "bce"}}
    assert errors(spec_schema(registry.all_plugins()), spec).keys() == {"$.model.name", "$.loss.name"}
    assert not errors(json.loads(SPEC.read_text(encoding="utf-8")), spec)
    assert not errors(spec_schema(own), spec)
    spec["model"] = {"name": "tiny", "depth": 0}
    spec["loss"]["inner"]["inner"] = {"name": "bce", "x": 1}
    assert errors(spec_schema(own), spec).keys() == {"$.model.depth", "$.loss.inner.inner"}


def test_a_name_of_two_distributions_needs_one(spec: dict[str, Any], install: Callable[..., Path]) -> None:
    for name in ("own-one", "own-two"):
        install(name, OWN_MODEL)
    schema = spec_schema(Registry.load().all_plugins())
    spec["model"] = {"name": "tiny@own-two", "depth": 3}
    assert not errors(schema, spec)
    spec["model"]["name"] = "tiny"
    assert errors(schema, spec).keys() == {"$.model.name"}


def test_a_suite_keeps_its_schema_and_options_of_executors_are_known(registry: Registry) -> None:
    schema = suite_schema(registry.all_plugins())
    suite = {
        "benchmark": "dcgan-fashion",
        "seeds": [1, 2],
        "axes": {"loss": ["bce", "hinge"]},
        "executors": {"local": {}},
    }
    for one in (schema, json.loads(SUITE.read_text(encoding="utf-8"))):
        assert not errors(one, suite)
        assert errors(one, {**suite, "seeds": [-1], "axis": {}}).keys() == {"$.seeds[0]", "$"}
    assert errors(schema, {**suite, "executors": {"slurm": {"x": 1}}}).keys() == {"$.executors.slurm"}
    assert errors(schema, {**suite, "executors": {"cloud": {}}}).keys() == {"$.executors"}


# the commands


def test_show_begins_with_a_line_by_which_editors_find_the_schema() -> None:
    toml = run_command("show", "dcgan-fashion").stdout
    line, _, rest = toml.partition("\n")
    directive, _, address = line.partition(" ")
    assert directive == "#:schema"
    assert address == SPEC.as_uri()
    assert not errors(json.loads(SPEC.read_text(encoding="utf-8")), tomllib.loads(rest))


def test_schema_writes_a_file_with_plugins_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(OWN_MODEL)
    outcome = run_command("schema", "spec", "-p", "tiny.py", "--out", "spec.schema.json")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[-1] == "#:schema spec.schema.json"
    assert "model.tiny" in json.loads((tmp_path / "spec.schema.json").read_text())["$defs"]


@pytest.mark.parametrize("content", ["spec", "suite", "result"])
def test_schema_prints_json(content: str) -> None:
    outcome = run_command("schema", content)
    assert json.loads(outcome.stdout)["title"] == f"ganbench {content}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spec", "--out", "mine.toml"], "--out mine.toml: the name of the schema must end in .json"),
        (["spec", "--out", "nowhere/spec.json"], "--out nowhere/spec.json: folder nowhere does not exist"),
        (["specs"], "Invalid value for 'spec|suite|result'"),
    ],
)
def test_a_schema_that_cannot_be_made_is_a_usage_error(arguments: list[str], message: str, tmp_path: Path) -> None:
    outcome = run_command("schema", *arguments)
    assert outcome.exit_code == ExitCode.USAGE
    assert message in outcome.stderr
    assert not list(tmp_path.glob("*.json"))


def test_schema_does_not_import_torch() -> None:
    code = """
import sys
from ganbench.cli import app
for content in ("spec", "suite", "result"):
    app(["schema", content, "--out", f"{content}.json"], standalone_mode=False)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_options_without_a_json_schema_are_an_error_that_names_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        OWN_MODEL.replace("from ganbench import", "from collections.abc import Callable\nfrom ganbench import").replace(
            "depth: int", "depth: Callable[[], int]"
        )
    )
    outcome = run_command("schema", "spec", "-p", "odd.py")
    assert outcome.exit_code == ExitCode.FAILED
    assert "model 'tiny' (from odd.py" in outcome.stderr
    assert "has options without a JSON schema" in outcome.stderr
