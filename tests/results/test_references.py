"""Published references: when a run is held to one, and what is said of the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command

from ganbench.errors import UsageError
from ganbench.plugin.registry import Registry
from ganbench.results.references import judge_references
from ganbench.results.schema import ReferenceResult, Result, load_result
from ganbench.spec.loading import load_spec, load_stopped_spec

SPEC = """
name = "own"
model = { name = "dcgan", width = 8 }
loss = "bce"
dataset = { name = "fashion-mnist", source = "embedded" }

[optimizer]
generator = "adam"
discriminator = "adam"

[training]
steps = 2
batch_size = 16

[sample_images]
generated = 0

[[metrics]]
name = "fid"
features = { name = "raw", size = 4 }
num_samples = 30

[[references]]
label = "a paper"
metric = "fid"
value = 1.0
std = 0.1
band = 50.0
source = "doi:10.0000/example"
note = "its generator has a bias"

[references.protocol]
extractor = "raw"
split = "test"
generated_samples = 30
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("own") / "own.toml"
    file.write_text(SPEC)
    return file


@pytest.fixture(scope="module")
def finished(own: Path) -> tuple[Path, str]:
    """A finished run of the spec, through the command line: its directory, and what was printed."""
    directory = own.parent / "run"
    code, output = invoke("run", own, "--device", "cpu", "--out", directory)
    assert code == 0
    return directory, output


Judge = Callable[..., ReferenceResult]


@pytest.fixture
def judge(finished: tuple[Path, str], own: Path, registry: Registry) -> Judge:
    """Judge the finished run as if its spec had overrides and its result other values."""

    def make(*overrides: str, **changes: Any) -> ReferenceResult:
        spec = load_spec(str(own), registry, overrides)
        result = load_result(finished[0]).model_copy(update={"spec": spec.to_dict(), **changes})
        (judged,) = judge_references(result)
        return judged

    return make


def invoke(*arguments: object) -> tuple[int, str]:
    outcome = run_command(*arguments, columns=200)
    return outcome.exit_code, outcome.output


def test_a_run_within_the_band_says_so_in_its_result_and_its_tables(finished: tuple[Path, str]) -> None:
    directory, output = finished
    (stored,) = load_result(directory).references
    (metric,) = load_result(directory).metrics
    assert metric.value is not None
    assert stored.model_dump() == {
        **{"label": "a paper", "metric": "fid", "value": 1.0, "std": 0.1, "band": 50.0},
        **{"source": "doi:10.0000/example", "note": "its generator has a bias"},
        **{"measured": metric.value, "verdict": "within", "differences": []},
    }
    assert "a paper: fid" in output
    assert "1 ± 0.1" in output
    assert "within" in output
    assert "a paper: doi:10.0000/example. its generator has a bias" in output


def test_compare_shows_the_verdict_on_each_result(finished: tuple[Path, str], own: Path, tmp_path: Path) -> None:
    """The second run is outside the band, which is no failure."""
    code, output = invoke("run", own, "--device", "cpu", "--out", tmp_path / "b", "-o", "references.0.band=1e-9")
    assert code == 0
    assert "outside (" in output
    code, output = invoke("compare", finished[0], tmp_path / "b")
    assert code == 0
    assert "a paper: fid 1 ± 50" in output
    assert "outside (" in output
    assert "references.0" not in output
    code, output = invoke("compare", finished[0], tmp_path / "b", "--json")
    verdicts = [result["references"][0]["verdict"] for result in json.loads(output)["results"]]
    assert verdicts == ["within", "outside"]


@pytest.mark.parametrize(
    ("value", "verdict"), [(3.0, "within"), (3.01, "outside"), (-1.0, "within"), (-1.01, "outside")]
)
def test_the_band_extends_to_both_sides(value: float, verdict: str, judge: Judge) -> None:
    measured = judge().measured
    assert measured is not None
    assert judge(f"references.0.value={measured - value + 1}", "references.0.band=2.0000001").verdict == verdict


@pytest.mark.parametrize("override", ["training.seed=7", "scoring.batch_size=10", "engine.mode=eager", "summary=other"])
def test_settings_that_a_publication_leaves_open_are_free(override: str, judge: Judge) -> None:
    assert judge(override).verdict == "within"


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("training.steps=3", "training.steps is 3, not 2"),
        ("training.epochs=1", "training.steps is none, not 2"),
        ("training.batch_size=8", "training.batch_size is 8, not 16"),
        ("training.precision=bf16", "training.precision is bf16, not tf32"),
        ("model.width=16", "model.width is 16, not 8"),
        ("loss=hinge", "loss.name is hinge, not bce"),
        ("optimizer.generator.lr=1e-3", "optimizer.generator.lr is 0.001, not 0.0001"),
        ("ema.half_life_kimg=1", "ema.half_life_kimg is 1.0, not none"),
        ('penalties=[{name="r1",weight=1.0}]', "penalties.0.name is r1, not none"),
        ("dataset.source=auto", "dataset.source is auto, not embedded"),
    ],
)
def test_a_run_trained_otherwise_is_not_comparable(override: str, difference: str, judge: Judge) -> None:
    judged = judge(override)
    assert judged.verdict == "not comparable"
    assert difference in judged.differences
    assert judged.measured is not None  # the score is shown all the same


def test_a_verdict_names_a_few_of_many_differences(judge: Judge) -> None:
    judged = judge("model=mlp", "training.epochs=1", "training.drop_last=true", "loss=hinge", "ema.half_life_kimg=1")
    assert len(judged.differences) == 7
    assert judged.differences[-1].endswith("more settings")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"status": "interrupted", "message": "interrupted after step 1"}, "the run is interrupted"),
        ({"status": "diverged", "message": "the loss is nan"}, "the run is diverged"),
        ({"message": "the budget of 1 s was used up after step 1"}, "the budget of 1 s was used up after step 1"),
        ({"metrics": []}, "the run has no score 'fid'"),
    ],
)
def test_a_run_that_did_not_end_as_planned_is_not_comparable(
    changes: dict[str, Any], difference: str, judge: Judge
) -> None:
    judged = judge(**changes)
    assert (judged.verdict, judged.differences) == ("not comparable", [difference])


@pytest.mark.parametrize(
    ("field", "value", "difference"),
    [
        ("extractor", "inception-v3", "extractor is raw, not inception-v3"),
        ("split", "train", "split is test, not train"),
        ("generated_samples", 50000, "generated_samples is 30, not 50000"),
        ("labels", "uniform", "labels is none, not uniform"),
    ],
)
def test_a_score_with_another_protocol_is_not_comparable(field: str, value: Any, difference: str, judge: Judge) -> None:
    judged = judge(f"references.0.protocol.{field}={json.dumps(value)}")
    assert (judged.verdict, judged.differences) == ("not comparable", [difference])


def test_a_run_of_several_processes_is_not_comparable(finished: tuple[Path, str], judge: Judge) -> None:
    throughput = load_result(finished[0]).throughput
    judged = judge(throughput=throughput.model_copy(update={"conditions": {**throughput.conditions, "processes": 4}}))
    assert judged.verdict == "not comparable"
    assert "trained by 4 processes" in judged.differences[0]


def test_a_score_that_is_not_finite_is_not_comparable(finished: tuple[Path, str], judge: Judge) -> None:
    (metric,) = load_result(finished[0]).metrics
    judged = judge(metrics=[metric.model_copy(update={"value": None})])
    assert (judged.verdict, judged.measured) == ("not comparable", None)
    assert judged.differences == ["the run has no finite score 'fid' at its end"]


def test_a_fingerprint_identifies_the_data_wherever_it_was_read_from(finished: tuple[Path, str], judge: Judge) -> None:
    fingerprint = load_result(finished[0]).data.fingerprint
    assert judge(f"references.0.data_fingerprint={fingerprint}", "dataset.source=auto").verdict == "within"
    judged = judge("references.0.data_fingerprint=abc")
    assert judged.differences == ["the data is not the published data (source: embedded)"]


def test_a_copied_and_edited_spec_is_still_held_to_the_published_settings(
    own: Path, registry: Registry, finished: tuple[Path, str], tmp_path: Path
) -> None:
    """Also with overrides when it was copied, and when a finished run is extended."""
    code, shown = invoke("show", own, "-o", "training.batch_size=8")
    assert code == 0
    copy = tmp_path / "copy.toml"
    copy.write_text(shown.replace("\nsteps = 2\n", "\nsteps = 3\n", 1))
    for spec, changed in (
        (load_spec(str(copy), registry), {"batch_size": 8, "steps": 3}),
        (load_stopped_spec(finished[0], registry, ["training.steps=4"]), {"steps": 4}),
    ):
        assert {name: getattr(spec.training, name) for name in changed} == changed
        result: Result = load_result(finished[0]).model_copy(update={"spec": spec.to_dict()})
        (judged,) = judge_references(result)
        original = {"batch_size": 16, "steps": 2}
        assert judged.differences == [f"training.{name} is {changed[name]}, not {original[name]}" for name in changed]


def test_references_do_not_affect_the_hash_of_a_spec(own: Path, registry: Registry) -> None:
    with_reference, without = (load_spec(str(own), registry, more) for more in ([], ["references=[]"]))
    assert with_reference.sha256() == without.sha256()
    assert not without.references


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("references.0.metrics=fid", r"references\.0\.metrics: unknown key; did you mean 'metric'\?"),
        ("references.0.band=0", r"references\.0\.band: must be greater than 0"),
        ("references.0.protocol={}", r"references\.0\.protocol: .* at least 1 item"),
    ],
)
def test_an_invalid_reference_is_rejected_with_its_path(
    override: str, message: str, own: Path, registry: Registry
) -> None:
    with pytest.raises(UsageError, match=message):
        load_spec(str(own), registry, [override])
