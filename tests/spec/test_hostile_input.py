"""Specs, results, baselines, checkpoints, weights and data that are none: an error for people, no code of theirs run.

GANBENCH_EXAMPLES says how many of each are tried; `GANBENCH_EXAMPLES=2000 pytest tests/spec/test_hostile_input.py` is
the long form.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from command_line import run_command
from conftest import SMALL
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from run_spec import run

from ganbench.errors import DataError, ExitCode, UsageError
from ganbench.gate.baseline.stored import Baseline, load_baseline
from ganbench.gate.check import Check, Measurements
from ganbench.gate.decision.verdict import Finding, Verdict
from ganbench.gate.outputs import markdown, write_junit
from ganbench.gate.session import Session
from ganbench.plugin.registry import Registry
from ganbench.results.differences import flatten
from ganbench.results.record import NewerVersionError
from ganbench.results.schema import Environment, load_result
from ganbench.results.suite_record import SuiteRecord, read_suite
from ganbench.results.throughput import Memory
from ganbench.runtime.checkpoint import SCHEMA_VERSION, load_checkpoint
from ganbench.spec.launch import read_launch
from ganbench.spec.loading import load_spec
from ganbench.system.files import read_cache, write_cache, write_text
from ganbench_datasets.idx import unpack
from ganbench_features import fashion_cnn, inception_v3

EXAMPLES = int(os.environ.get("GANBENCH_EXAMPLES", "60"))
tried = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
SPEC: dict[str, Any] = load_spec("dcgan-fashion", Registry.load()).to_dict()
# some fields take any value, and the score and the protocol of a reference may be any
FREE = ("name", "summary", "checkpoint", "gate.metric_percent")
LEAVES = sorted(path for path in flatten(SPEC) if path not in FREE and not path.startswith("references."))


# what no field of a spec takes: far out of range, or of the wrong type; and what would talk to a terminal
IMPOSSIBLE = st.one_of(
    st.integers(max_value=-1, min_value=-(2**63)),
    st.floats(max_value=-1.0, allow_infinity=False),
    st.text(max_size=20).map(lambda text: f"no such {text}\x1b[31m"),
    st.lists(st.lists(st.integers(), max_size=2), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.integers(), min_size=1),
)


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command(*arguments, columns=300)
    assert "Traceback" not in outcome.output
    return outcome.exit_code, outcome.output


@pytest.fixture(autouse=True)
def load_plugins_once(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use one registry for all examples; no example adds a plugin."""
    monkeypatch.setattr(Registry, "load", lambda *_: registry)


def put(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of the spec with one value replaced."""
    result = copy.deepcopy(spec)
    node: Any = result
    *way, last = path.split(".")
    for part in way:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[last] = value
    return result


@tried
@given(path=st.sampled_from(LEAVES), value=IMPOSSIBLE)
def test_a_spec_with_an_impossible_value_exits_with_2_and_names_the_field(path: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spec.toml"
        file.write_text(tomli_w.dumps(put(SPEC, path, value)), encoding="utf-8")
        code, text = invoke("show", str(file))
    assert code == ExitCode.USAGE, text
    named = path.removesuffix(".name")  # a plugin is asked for by the path of its table
    assert named.rpartition(".")[0] in text
    assert named in text or "unknown" in text or "options" in text
    assert "\x1b[31m" not in text


@tried
@given(path=st.sampled_from(LEAVES), value=IMPOSSIBLE.map(lambda value: tomli_w.dumps({"a": value})[4:].strip()))
def test_an_impossible_override_exits_with_2_and_names_the_field(path: str, value: str) -> None:
    code, text = invoke("show", "dcgan-fashion", "-o", f"{path}={value}")
    assert code == ExitCode.USAGE, text
    assert path.removesuffix(".name").partition(".")[0] in text


@tried
@given(text=st.text(max_size=40), path=st.text(max_size=20))
def test_any_override_is_accepted_or_rejected(text: str, path: str) -> None:
    code, _ = invoke("show", "dcgan-fashion", "-o", f"{path}={text}", "-o", f"training.{path}={text}")
    assert code in (ExitCode.DONE, ExitCode.USAGE)


@tried
@given(data=st.data())
def test_a_corrupt_toml_file_is_read_or_rejected(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spec.toml"
        file.write_bytes(damaged(tomli_w.dumps(SPEC).encode(), data))
        code, text = invoke("show", str(file))
    assert code in (ExitCode.DONE, ExitCode.USAGE)
    if code:
        assert "spec.toml" in text


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """Return the content with some bytes replaced, removed or inserted."""
    spoilt = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(spoilt)))
        length = data.draw(st.integers(0, 64))
        spoilt[start : start + length] = data.draw(st.binary(max_size=64))
    return bytes(spoilt)


@pytest.fixture(scope="module")
def finished(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run."""
    out = tmp_path_factory.mktemp("finished") / "run"
    spec = load_spec("dcgan-fashion", registry, [*SMALL, "training.steps=2"])
    run(spec, device="cpu", out=out)
    return out


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    session = Session(
        images_per_second=[1.0],
        warmup_windows=3,
        phases={"generator": 1.0},
        memory=Memory(device_peak_bytes=None, host_peak_rss_bytes=1),
        conditions={},
        environment=Environment(must_match={}, may_differ={}),
        data="0",
        spec={},
        plugins=[],
        windows=1,
        window_seconds=2.0,
        code={},
        gpu=[None],
    )
    file = tmp_path_factory.mktemp("baseline") / "baseline.json"
    write_text(file, Baseline(benchmark="any", sessions=[session]).model_dump_json())
    return file


def test_a_corrupt_result_baseline_or_checkpoint_is_read_or_rejected_by_name(finished: Path, baseline: Path) -> None:
    readers: list[tuple[Path, Callable[[Path], Any]]] = [
        (finished / "result.json", load_result),
        (baseline, load_baseline),
        (finished / "checkpoint.pt", load_checkpoint),
    ]
    wholes = [(file.name, file.read_bytes(), read) for file, read in readers]

    @tried
    @given(data=st.data(), whole=st.sampled_from(wholes))
    def try_one(data: st.DataObject, whole: tuple[str, bytes, Callable[[Path], Any]]) -> None:
        name, content, read = whole
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(damaged(content, data))
            assert refusal(read, file) in (None, str(file))

    try_one()


def with_json(changes: dict[str, Any]) -> Callable[[Path], None]:
    return lambda file: write_text(file, json.dumps({**json.loads(file.read_text()), **changes}))


def with_tensors(changes: dict[str, Any]) -> Callable[[Path], None]:
    return lambda file: torch.save({**torch.load(file, weights_only=True), **changes}, file)


@pytest.mark.parametrize(
    ("name", "read", "change", "evidence"),
    [
        ("result.json", load_result, with_json({"schema_version": 99}), "schema 99, but this version reads schema 3"),
        ("result.json", load_result, with_json({"more": 1}), "unknown field more"),
        ("baseline.json", load_baseline, with_json({"more": 1}), "unknown field more"),
        ("launch.json", lambda file: read_launch(file.parent), with_json({"more": 1}), "unknown field more"),
        ("suite.json", lambda file: read_suite(file.parent), with_json({"more": 1}), "unknown field more"),
        (
            "checkpoint.pt",
            load_checkpoint,
            with_tensors({"schema_version": 99}),
            f"schema 99, but this version reads schema {SCHEMA_VERSION}",
        ),
    ],
)
def test_a_file_from_a_newer_version_is_reported_as_such(
    name: str, read: Any, change: Any, evidence: str, finished: Path, baseline: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    if name == "suite.json":
        write_text(file, SuiteRecord(name="mine", file={}, cells=[]).model_dump_json())
    else:
        shutil.copy(baseline if name == baseline.name else finished / name, file)
    read(file)
    change(file)
    with pytest.raises(NewerVersionError) as raised:
        read(file)
    assert f"{file}: written by a newer version of ganbench ({evidence}); use that version" in str(raised.value)


def refusal(read: Callable[[Path], Any], file: Path) -> str | None:
    """Return None if the file is read, and its path if the error names it."""
    try:
        read(file)
    except UsageError as error:
        return str(file) if str(file) in str(error) else str(error)
    return None


@tried
@given(data=st.data())
def test_a_corrupt_data_file_is_rejected_by_name(data: st.DataObject) -> None:
    content = bytes(range(256)) * 40
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "train-images-idx3-ubyte.gz"
        archive.write_bytes(damaged(gzip.compress(content), data))
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz"):
            unpack("FashionMNIST", archive, Path(folder) / "unpacked", "0" * 64)  # the hash of nothing
        assert [file.name for file in Path(folder).iterdir()] == [archive.name]


SOME_TENSORS = {"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 3, 3), "fc.bias": torch.ones(1008)}


@tried
@given(data=st.data())
def test_corrupt_weights_and_other_tensors_are_rejected_by_name(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        shipped, given_by_hand = Path(folder) / "shipped.safetensors", Path(folder) / "inception.pth"
        whole = fashion_cnn.WEIGHTS.read_bytes()
        shipped.write_bytes(damaged(whole, data))
        assume(shipped.read_bytes() != whole)
        patch.setattr(fashion_cnn, "WEIGHTS", shipped)
        with pytest.raises(DataError, match=str(shipped)):
            fashion_cnn.load_extractor((1, 28, 28), "cpu")
        torch.save(SOME_TENSORS, given_by_hand)
        given_by_hand.write_bytes(damaged(given_by_hand.read_bytes(), data))
        with pytest.raises(DataError, match=str(given_by_hand)):
            inception_v3.load_extractor(given_by_hand, "cpu")


@tried
@given(content=st.binary(max_size=100), data=st.data())
def test_a_cache_file_is_read_exactly_or_not_at_all(content: bytes, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cached = Path(folder) / "cached"
        write_cache(cached, content)
        assert read_cache(cached) == content
        whole = cached.read_bytes()
        cached.write_bytes(damaged(whole, data))
        assume(cached.read_bytes() != whole)
        assert read_cache(cached) is None


@tried
@given(text=st.text(min_size=1, max_size=30))
def test_reports_of_a_check_are_valid_with_any_text(text: str) -> None:
    findings = {
        "throughput": Finding(Verdict.REGRESSED, (text, text), text),
        text: Finding(Verdict.PASS, ("1", "2"), text),
    }
    check = Check("any", (text, "head"), Measurements(), findings)
    with tempfile.TemporaryDirectory() as folder:
        write_junit([check], Path(folder) / "junit.xml")
        (suite,) = JUnitXml.fromfile(str(Path(folder) / "junit.xml"))
    assert suite.failures == 1
    rows = [line for line in markdown(check).split("\n") if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows[:4]] == [7, 7, 7, 7]
    assert not set(markdown(check)) & {chr(code) for code in range(32) if code != 10}
