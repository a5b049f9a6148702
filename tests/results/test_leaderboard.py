"""`ganbench leaderboard`: what is ranked with what, what the tests say, and what is counted."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_command
from scipy import stats

from ganbench.errors import ExitCode
from ganbench.reporting.html.leaderboards import leaderboards
from ganbench.results.schema import DataRecord, Environment, MetricPoint, MetricResult, PluginRecord, Result
from ganbench.results.statistics import holm, pair, power, seeds_needed, summarize
from ganbench.results.throughput import Memory, Throughput

PROTOCOL = {"extractor": "fashion-cnn", "num_samples": 500}


def score(value: float | None, protocol: dict[str, Any] = PROTOCOL, software: str = "1.0") -> MetricResult:
    return MetricResult(
        id="fid", name="fid", label="FID (fashion-cnn)", value=value, higher_is_better=False,
        best=None if value is None else MetricPoint(epoch=1, images=64, value=value - 1), curve=[],
        real_data_score=0.1, real_data_samples=500, protocol=protocol, software={"torch": software},
    )  # fmt: skip


def write(
    folder: Path,
    loss: str,
    seed: int,
    metric: MetricResult | None,
    status: str = "completed",
    plugins: Sequence[PluginRecord] = (),
    message: str | None = None,
    notice: str | None = None,
    **speed: Any,
) -> None:
    """Write the result of a run of the named loss to runs/LOSS-SEED."""
    name = {"name": "dcgan-fashion", "loss": {"name": loss, "margin": 0.1}, "training": {"seed": seed, "epochs": 1}}
    result = Result(
        run_id=f"{loss}-{seed}", created_at="2026-01-01T00:00:00Z", status=status, message=message,
        benchmark="dcgan-fashion", spec=name, spec_sha256="", plugins=list(plugins),
        environment=Environment(must_match={}, may_differ={}),
        data=DataRecord(source="", fingerprint="", content_sha256="", content_basis="", train_images=1, test_images=1,
                        notice=notice),
        history=[],
        throughput=Throughput(
            images_per_second=None, seconds_per_kimg=1.0, windows=[], warmup_seconds=0, evaluation_seconds=0, phases={},
            component_throughput=None, roofline=None, joules_per_image=None, engine=None, conditions={"threads": 1},
        ).model_copy(update=speed),
        memory=Memory(device_peak_bytes=None, host_peak_rss_bytes=None), metrics=[metric] if metric else [],
        artifacts={},
    )  # fmt: skip
    directory = folder / "runs" / f"{loss}-{seed}"
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(result.to_json())


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command("leaderboard", *arguments, columns=220)
    return outcome.exit_code, outcome.output


def csv_rows(*arguments: str) -> list[dict[str, str]]:
    """Return the rows on standard output; notes are on standard error."""
    return list(csv.DictReader(io.StringIO(run_command("leaderboard", *arguments, "--format", "csv").stdout)))


def boards(*arguments: str) -> Any:
    code, text = invoke(*arguments, "--json")
    assert code == ExitCode.DONE, text
    return json.loads(text)


def test_rows_that_differ_significantly_get_ranks_and_others_share_one(tmp_path: Path) -> None:
    for seed, noise in enumerate([3.0, -2.0, 0.5, 1.0, -1.5]):  # common to all rows: pairing removes it
        write(tmp_path, "good", seed, score(10 + noise + 0.01 * seed))
        write(tmp_path, "equal", seed, score(10 + noise - 0.01 * seed + 0.03))
        write(tmp_path, "bad", seed, score(12 + noise + 0.02 * seed))
    (board,) = boards("runs")
    ranks = {row["label"]: row["rank"] for row in board["rows"]}
    assert ranks["dcgan-fashion, loss=good"] == ranks["dcgan-fashion, loss=equal"] == 1
    assert ranks["dcgan-fashion, loss=bad"] == 3
    (tied,) = (pair for pair in board["comparisons"] if not pair["significant"])
    assert tied["seeds_needed"] > 5
    text = invoke("runs")[1]
    assert "not significantly different: dcgan-fashion, loss=" in text
    detects = "the test would have 90% power to detect a difference of this size"
    assert f"Holm-corrected level 0.05); with about {tied['seeds_needed']} seeds, {detects}" in text


@pytest.mark.parametrize("style", ["table", "csv"])
def test_what_the_runs_say_about_their_data_is_shown_once(tmp_path: Path, style: str) -> None:
    for seed in (1, 2):
        write(tmp_path, "a", seed, score(1.0 + seed), notice="trained on the EMBEDDED SUBSET")
        write(tmp_path, "b", seed, score(1.0, {"extractor": "raw"}), notice="trained on the EMBEDDED SUBSET")
        write(tmp_path, "c", seed, score(2.0 + seed), notice="3 images are invalid")
    outcome = run_command("leaderboard", "runs", "--format", style, columns=220)
    printed = (outcome.stdout if style == "table" else outcome.stderr).splitlines()
    rows = [f"dcgan-fashion, loss={loss}" for loss in "abc"]
    for line in (f"{rows[0]}, {rows[1]}: trained on the EMBEDDED SUBSET", f"{rows[2]}: 3 images are invalid"):
        assert printed.count(line) == 1, outcome.output


def test_a_value_without_a_direction_is_not_ranked(tmp_path: Path) -> None:
    deviation = score(10.0).model_copy(update={"id": "kid.std", "name": "kid", "higher_is_better": None})
    write(tmp_path, "a", 0, deviation)
    assert invoke("runs")[0] == ExitCode.NOT_COMPARABLE  # there is nothing else
    write(tmp_path, "b", 0, score(10.0))
    assert "no completed run has such a score; available: fid" in invoke("runs", "--by", "kid")[1]
    assert [row["scores"] for row in boards("runs")[0]["rows"] if row["scores"]] == [{"0": 10.0}]
    assert len(list(leaderboards([tmp_path / "runs"]))) == 1  # in a report


def test_scores_of_another_protocol_are_in_another_table(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "a", seed, score(10.0 + seed))
        write(tmp_path, "b", seed, score(1.0 + seed, {**PROTOCOL, "num_samples": 100}))
    found = boards("runs", "--by", "fid")
    assert [[row["label"] for row in board["rows"]] for board in found] == [
        ["dcgan-fashion, loss=a"], ["dcgan-fashion, loss=b"],
    ]  # fmt: skip
    text = invoke("runs")[1]
    assert "num_samples differ" in text
    for samples in (100, 500):
        assert f"FID (fashion-cnn), lower is better, num_samples={samples}" in text


def test_a_field_that_an_older_protocol_lacks_is_the_same_as_null(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0))
    write(tmp_path, "b", 0, score(11.0, {**PROTOCOL, "resize": None}))
    (board,) = boards("runs")
    assert len(board["rows"]) == 2


def test_differing_software_and_disturbed_speeds_are_marked(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0), disturbed=True)
    write(tmp_path, "b", 0, score(11.0, software="2.0"))
    text = invoke("runs")[1]
    assert "ranked although the software differs: torch" in text
    assert "~1,000" in text
    assert "not tested: 1 pair of rows with fewer than two common seeds" in text


def test_an_evaluation_has_no_conditions_that_speeds_could_differ_in(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0))
    write(tmp_path, "b", 0, score(11.0), conditions={}, seconds_per_kimg=None)
    assert boards("runs")[0]["speed_differences"] == []
    assert "~" not in invoke("runs")[1]


def test_warnings_about_scores_are_notes_with_the_rows_and_seeds_that_they_concern(tmp_path: Path) -> None:
    for loss, seed, warnings in (
        ("a", 0, ["few images", "copies"]),
        ("a", 1, ["few images"]),
        ("b", 0, ["few images"]),
    ):
        write(tmp_path, loss, seed, score(10.0 + seed).model_copy(update={"warnings": warnings}))
    lines = invoke("runs")[1].splitlines()
    assert "few images" in lines  # about all
    assert "dcgan-fashion, loss=a: seed 0: copies" in lines
    rows = {row["label"][-1]: row["warnings"] for row in boards("runs")[0]["rows"]}
    assert rows == {"a": {"0": ["few images", "copies"], "1": ["few images"]}, "b": {"0": ["few images"]}}
    for seed in range(20):
        write(tmp_path, "c", seed, score(10.0).model_copy(update={"warnings": [f"{seed} copies"]}))
    assert "12 more warnings about scores; see result.json" in invoke("runs")[1]


def test_runs_that_ended_before_their_schedule_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0), message="the budget of 60 s was used up after step 7")
    write(tmp_path, "a", 1, score(11.0))
    write(tmp_path, "b", 0, None, status="interrupted", message="interrupted after step 7")
    note = "ended before the end of the schedule (budget or target)"
    assert f"1 run {note}" in invoke("runs")[1]
    assert sorted(row["ended_early"] for row in boards("runs")[0]["rows"]) == [0, 1]
    assert sorted(row["ended_early"] for row in csv_rows("runs")) == ["0", "1"]
    assert note not in invoke("runs/a-1")[1]


def test_tables_are_written_for_other_programs(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "a_b", seed, score(10.0 + seed))
    rows = csv_rows("runs")
    assert (float(rows[0]["mean"]), float(rows[0]["best"]), rows[0]["seeds"]) == (10.5, 9.5, "2")
    assert float(rows[0]["std"]) == boards("runs")[0]["rows"][0]["last"]["std"] == pytest.approx(0.5**0.5)
    assert "| 1 | dcgan-fashion | 2 | 10.5000 ± 0.7071 |" in invoke("runs", "--format", "markdown")[1]
    write(tmp_path, "c_d", 0, score(11.0))
    assert r"loss=a\_b & 2 & 10.5000 $\pm$ 0.7071" in invoke("runs", "--format", "latex")[1]


def test_csv_has_one_header_for_all_protocols(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0))
    write(tmp_path, "b", 0, score(1.0, {**PROTOCOL, "num_samples": 100}))
    rows = csv_rows("runs")
    assert [(row["protocol"], row["rank"], row["mean"]) for row in rows] == [
        ("num_samples=500", "1", "10.0"), ("num_samples=100", "1", "1.0"),
    ]  # fmt: skip


def test_names_cannot_break_tables_for_other_programs(tmp_path: Path) -> None:
    label = '=HYPERLINK("http://x")|<b>\n\\input{secret}'
    write(tmp_path, "a", 0, score(10.0).model_copy(update={"label": label}))
    (row,) = csv_rows("runs")
    assert row["metric"] == f"'{label}"  # text, for a spreadsheet
    markdown = invoke("runs", "--format", "markdown")[1]
    head = r'**=HYPERLINK("http://x")\|\<b\> \\input{secret}, lower is better**'
    assert markdown.startswith(f"{head}\n\n| Rank | Row | Seeds | Mean ± SD | 95% CI |")
    latex = invoke("runs", "--format", "latex")[1]
    assert latex.splitlines()[:2] == [
        '% =HYPERLINK("http://x")|<b> \\input{secret}, lower is better', r"\begin{tabular}{rlrrrrr}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], ExitCode.NOT_COMPARABLE, "nowhere: no such file or folder; pass run directories"),
        (["empty"], ExitCode.NOT_COMPARABLE, "empty: no runs found; pass run directories"),
        (["runs", "--by", "kid"], ExitCode.USAGE, "--by kid: no completed run has such a score; available: fid"),
        (["diverged"], ExitCode.NOT_COMPARABLE, "no completed run has a score (runs found: 1 diverged, 1 failed)"),
        (["diverged", "--by", "fid"], ExitCode.NOT_COMPARABLE, "no completed run has a score"),
        (["cut"], ExitCode.USAGE, "result cut/result.json: corrupt, or not a result: Invalid JSON: EOF"),
        (["old"], ExitCode.USAGE, "result old/result.json: written with schema 2, but this version of ganbench reads"),
        (["foreign"], ExitCode.USAGE, "foreign/spec.toml: not the resolved spec of a run"),
        (["."], ExitCode.DONE, "cut: left out: result cut/result.json: corrupt, or not a result"),
        (["."], ExitCode.DONE, "old: left out: result old/result.json: written with schema 2"),
        (["."], ExitCode.DONE, "foreign: left out: foreign/spec.toml: not the resolved spec of a run"),
    ],
)
def test_a_wrong_argument_is_explained(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0))
    for status in ("diverged", "failed"):
        write(tmp_path / "diverged", status, 0, score(None), status=status)
    (tmp_path / "empty").mkdir()
    content = (tmp_path / "runs" / "a-0" / "result.json").read_text()
    for file, text in (
        ("cut/result.json", content[:1000]),
        ("old/result.json", content.replace('"schema_version": 3', '"schema_version": 2')),
        ("foreign/spec.toml", "[package]\n"),
    ):
        Path(file).parent.mkdir()
        Path(file).write_text(text)
    found, text = invoke(*arguments)
    assert found == code
    assert message in text


def test_it_never_imports_torch(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0))
    check = (
        "import sys; from ganbench.cli import app\n"
        "try: app(['leaderboard', 'runs'])\n"
        "finally: assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", check], stdout=subprocess.DEVNULL).returncode == 0


def test_the_paired_test_is_that_of_scipy() -> None:
    one, other = [1.0, 2.5, 2.0, 4.0], [1.5, 2.0, 3.0, 5.5]
    difference = pair(one, other)
    assert difference is not None
    assert difference.p_value == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert pair([1.0], [2.0]) is None


IN_FLOAT32 = tuple(np.float32([[0.91, 0.81, 0.71], [0.9, 0.8, 0.7]]).tolist())  # as some metrics compute


@pytest.mark.parametrize(
    ("one", "other"), [([8.0, 8.0, 8.0], [7.0, 7.0, 7.0]), ([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]), IN_FLOAT32]
)
def test_equal_differences_are_tested_by_their_sign(one: list[float], other: list[float]) -> None:
    difference = pair(one, other)
    assert difference is not None
    assert difference.p_value == 0.25  # of 8 equally likely signs of 3 differences, 2 are all the same
    assert difference.seeds_needed(0.05) == 6  # 2^-5 < 0.05 < 2^-4
    equal = pair(one, [value * (1 + 1e-8) for value in one])
    assert equal is not None
    assert (equal.p_value, equal.seeds_needed(0.05)) == (1.0, None)


def test_intervals_are_those_of_students_t() -> None:
    values = [4.0, 5.0, 7.0]
    summary = summarize(values)
    assert summary is not None
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert summary.interval == pytest.approx(expected)
    assert summarize([4.0]).interval is None  # type: ignore[union-attr]


def test_power_agrees_with_published_sample_sizes() -> None:
    """G*Power 3.1's example of a paired t-test: 50 pairs, effect 0.421637, two-sided 5%: power 0.832114."""
    assert power(0.421637, 50, 0.05) == pytest.approx(0.832114, abs=1e-5)
    assert power(2.0, 5, 0.05) > 0.9 > power(2.0, 4, 0.05)
    assert seeds_needed(2.0, 0.05) == 5
    assert seeds_needed(0.01, 0.05) is None


def test_power_is_known_where_the_noncentral_t_distribution_of_scipy_does_not_converge() -> None:
    assert np.isnan(stats.nct.cdf(-stats.t.isf(0.025, 1), 1, 50 * np.sqrt(2)))
    assert power(50, 2, 0.05) == pytest.approx(1.0)
    assert seeds_needed(50, 0.05) == 2
    for seeds, alpha, effect in ((3, 0.01, 2.0), (5, 0.001, 3.0), (20, 0.05, 0.5)):
        limit, shift = stats.t.isf(alpha / 2, seeds - 1), effect * np.sqrt(seeds)
        exact = stats.nct.sf(limit, seeds - 1, shift) + stats.nct.cdf(-limit, seeds - 1, shift)
        assert power(effect, seeds, alpha) == pytest.approx(exact, abs=1e-4)


def test_holms_levels() -> None:
    assert holm([0.04, 0.001, 0.02], alpha=0.03) == pytest.approx([0.015, 0.01, 0.015])
    assert holm([0.001, 0.002, 0.003], alpha=0.03) == pytest.approx([0.01, 0.015, 0.03])
    assert holm([], alpha=0.03) == []


def test_runs_of_other_code_are_another_row(tmp_path: Path) -> None:
    for seed, (value, source) in enumerate([(30.0, "old"), (31.0, "old"), (12.0, "new"), (13.0, "new")]):
        record = PluginRecord(kind="loss", name="own", distribution="own.py", version=None, source=source)
        metric = PluginRecord(kind="metric", name="fid", distribution="own.py", version=None, source=str(seed))
        write(tmp_path, "own", seed, score(value), plugins=[record, metric])
    before = PluginRecord(kind="loss", name="own", distribution="own.py", version=None)  # it was not recorded
    write(tmp_path, "own", 4, score(31.5), plugins=[before])
    (board,) = boards("runs")
    assert [(row["label"], row["last"]["mean"]) for row in board["rows"]] == [
        ("dcgan-fashion, code of loss own=new", 12.5),
        ("dcgan-fashion, code of loss own=old", (30 + 31 + 31.5) / 3),
    ]


def test_another_release_of_ganbench_is_the_same_row_with_a_note(tmp_path: Path) -> None:
    for seed, source in enumerate(["old", "old", "new"]):
        record = PluginRecord(kind="loss", name="bce", distribution="ganbench", version="0.1.0", source=source)
        write(tmp_path, "bce", seed, score(30.0 + seed), plugins=[record])
    ((row,),) = (board["rows"] for board in boards("runs"))
    assert len(row["scores"]) == 3
    assert "ranked although the software differs: code of loss bce" in invoke("runs")[1]
