"""`ganbench compare`: results side by side, ranked only if they are comparable."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_command
from conftest import SMALL
from rich.console import Console
from run_spec import run

from ganbench.errors import ExitCode
from ganbench.plugin.registry import Registry
from ganbench.reporting.comparison_tables import comparison_tables, quantities_table
from ganbench.results.comparison import Quantity, compare, flatten
from ganbench.results.comparison_json import ComparisonRecord
from ganbench.results.schema import Result
from ganbench.results.throughput import Memory, Percentiles, Throughput, rate_text
from ganbench.results.time_to_target import time_to_target
from ganbench.spec.loading import load_spec
from ganbench.system.openmp import wait_policy


@pytest.fixture(scope="module")
def results(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three small runs: one, one with another seed, and one with another batch size and number of samples."""
    folder = tmp_path_factory.mktemp("results")
    variants = {
        "one": ["training.seed=1"],
        "other-seed": ["training.seed=2"],
        "other-protocol": ["training.batch_size=32", "metrics.0.num_samples=50"],
    }
    for name, overrides in variants.items():
        spec = load_spec("dcgan-fashion", registry, [*SMALL, "training.steps=2", *overrides])
        run(spec, device="cpu", out=folder / name)
    return {name: folder / name for name in variants}


def invoke(*arguments: object) -> tuple[int, str]:
    outcome = run_command("compare", *arguments)
    return outcome.exit_code, outcome.output


def load(path: Path) -> Result:
    return Result.model_validate_json((path / "result.json").read_bytes())


def at_speed(result: Result, mean: float, p10: float, p90: float, disturbed_by: str | None = None) -> Result:
    changes = {
        "seconds_per_kimg": 1000 / mean,
        "images_per_second": Percentiles(median=mean, p10=p10, p90=p90),
        "disturbed": disturbed_by is not None,
        "disturbed_by": disturbed_by,
    }
    return result.model_copy(update={"throughput": result.throughput.model_copy(update=changes)})


def test_equal_protocols_are_ranked_and_differences_are_listed(results: dict[str, Path]) -> None:
    comparison = compare(
        [at_speed(load(results["one"]), 200, 190, 210), at_speed(load(results["other-seed"]), 300, 290, 310)]
    )
    (rate, *_), (fid,) = comparison.speed, comparison.metrics
    for quantity in (rate, fid):
        assert quantity.differing_fields == {}
    assert fid.values[fid.best] == min(fid.values)
    assert rate.values == pytest.approx((200, 300))
    assert rate.best == 1
    assert rate.ratio_spread(1) == pytest.approx((290 / 210, 310 / 190))
    assert comparison.differences["spec"] == {"training.seed": (1, 2)}
    assert comparison.differences["plugins"] == comparison.differences["environment"] == {}


def table_of(*compared: Result) -> str:
    console = Console(file=io.StringIO(), width=160)
    for table in comparison_tables(compare(compared), [str(position) for position in range(len(compared))]):
        console.print(table)
    return console.file.getvalue()


def test_what_results_say_about_their_data_is_shown(results: dict[str, Path]) -> None:
    one, other = load(results["one"]), load(results["other-seed"])
    noticed = [
        each.model_copy(update={"data": each.data.model_copy(update={"notice": "the [EMBEDDED] subset"})})
        for each in (one, other)
    ]
    assert [line.strip() for line in table_of(*noticed).splitlines()].count("the [EMBEDDED] subset") == 1
    assert "1: the [EMBEDDED] subset" in table_of(one, noticed[1])


def test_speeds_with_overlapping_spreads_have_no_best(results: dict[str, Path]) -> None:
    one, other = load(results["one"]), load(results["other-seed"])
    slow, fast = at_speed(one, 230, 150, 330), at_speed(other, 326, 290, 350)
    rate = next(iter(compare([slow, fast]).speed))
    assert rate.best is None
    assert rate.overlaps(0, 1)
    text = table_of(slow, fast)
    assert "326 (x 1.417)" in text
    assert "290 to 350 (x 0.879 to 2.333, overlapping)" in text
    speed = ComparisonRecord.of(compare([slow, fast]), ["slow", "fast"]).model_dump()["speed"]["images/s"]
    assert speed["spreads"] == ((150, 330), (290, 350))
    assert speed["ratio_spreads"][1] == pytest.approx((290 / 330, 350 / 150))


def test_a_disturbed_result_is_marked_and_its_speed_is_not_ranked(results: dict[str, Path]) -> None:
    reason = "other processes used 0.92 of the 2 CPU cores during training"
    quiet = at_speed(load(results["one"]), 300, 295, 305)
    busy = at_speed(load(results["other-seed"]), 100, 95, 105, reason)
    comparison = compare([quiet, busy])
    assert next(iter(comparison.speed)).best is None
    written = ComparisonRecord.of(comparison, ["0", "1"])
    assert [result.disturbed_by for result in written.results] == [None, reason]
    text = table_of(quiet, busy)
    assert "not ranked: a result was disturbed" in text
    assert reason in text


def test_the_openmp_wait_policy_is_a_condition(results: dict[str, Path]) -> None:
    one = load(results["one"])
    assert one.throughput.conditions["wait_policy"] == wait_policy()
    spinning = one.throughput.model_copy(update={"conditions": {**one.throughput.conditions, "wait_policy": "active"}})
    rate = next(iter(compare([one, one.model_copy(update={"throughput": spinning})]).speed))
    assert list(rate.differing_fields) == ["wait_policy"]


def test_unequal_protocols_are_never_ranked(results: dict[str, Path]) -> None:
    comparison = compare([load(results["one"]), load(results["other-protocol"])])
    (rate, *_), (fid,) = comparison.speed, comparison.metrics
    assert rate.differing_fields == {"batch_size": (64, 32)}
    assert fid.differing_fields == {"generated_samples": (100, 50)}
    for quantity in (rate, fid):
        assert quantity.best is None
        assert quantity.ratio(1) is None


def test_a_loss_is_shown_but_not_ranked(results: dict[str, Path]) -> None:
    comparison = compare([load(path) for path in results.values()])
    assert [quantity.name for quantity in comparison.losses] == ["d_loss", "g_loss", "real_score", "fake_score"]
    assert all(quantity.best is None and None not in quantity.values for quantity in comparison.losses)


def test_the_tables_name_the_fields_that_prevent_ranking(
    results: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, text = invoke(*results.values())
    text = " ".join(text.replace("│", " ").split())  # long paths leave a narrow column for the notes
    assert code == ExitCode.DONE
    for expected in ("not ranked: batch_size differs", "not ranked: generated_samples differs", "training.seed"):
        assert expected in text
    assert "completed" in text


def test_a_run_without_scores_can_be_compared(results: dict[str, Path], tmp_path: Path) -> None:
    diverged = load(results["one"]).model_copy(
        update={"status": "diverged", "message": "the generator's loss is nan", "metrics": [], "history": []}
    )
    (tmp_path / "result.json").write_text(diverged.to_json())
    code, text = invoke(results["one"], tmp_path)
    assert code == ExitCode.DONE
    assert "diverged" in text
    assert "the generator's loss is nan" in " ".join(text.split())
    fid = compare([load(results["one"]), diverged]).metrics[0]
    assert fid.values[1] is None
    assert fid.best is None


def test_only_json_is_written_to_stdout(results: dict[str, Path]) -> None:
    code, text = invoke(results["one"], results["other-protocol"], "--json")
    printed = json.loads(text)
    assert code == ExitCode.DONE
    assert printed["results"][0]["name"] == str(results["one"])
    assert printed["metrics"]["FID (fashion-cnn)"]["differing_fields"] == ["generated_samples"]
    assert printed["differences"]["spec"]["training.batch_size"] == [64, 32]


def test_it_starts_without_torch_and_scipy(results: dict[str, Path]) -> None:
    probe = (
        "import sys; from ganbench.cli import app\n"
        "try: app()\n"
        "finally: print('heavy:', {'torch', 'scipy'} & set(sys.modules), file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", probe, "compare", results["one"], results["other-seed"]]
    finished = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "heavy: set()" in finished.stderr


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (["one"], ExitCode.USAGE, "at least two results"),
        (["one", "nowhere"], ExitCode.NOT_COMPARABLE, "nowhere"),
        (["one", "x" * 300], ExitCode.USAGE, "cannot read it: File name too long"),  # an error as without access
    ],
)
def test_invalid_arguments_are_refused(names: list[str], code: int, message: str, results: dict[str, Path]) -> None:
    exit_code, text = invoke(*(results.get(name, Path(name)) for name in names))
    assert exit_code == code
    assert message in " ".join(text.split())


def test_a_run_that_was_killed_is_named_with_how_to_continue_it(results: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "spec.toml").touch()
    code, text = invoke(results["one"], tmp_path)
    assert code == ExitCode.NOT_COMPARABLE
    assert (
        "no result.json, because the run was killed or is still running; if it was killed, resume it with --resume"
        in " ".join(text.split())
    )


def test_nested_tables_are_flattened_to_override_paths() -> None:
    spec = {"model": {"name": "dcgan"}, "metrics": [{"name": "fid", "at_epochs": [0, 1]}], "x": 1}
    assert flatten(spec) == {"model.name": "dcgan", "metrics.0.name": "fid", "metrics.0.at_epochs": [0, 1], "x": 1}


def with_metrics(result: Result, *metrics: tuple[str, int, str]) -> Result:
    """Return the result with other FIDs, each with an id, a number of samples and a version of torch."""
    fid = result.metrics[0]
    return result.model_copy(
        update={
            "metrics": [
                fid.model_copy(
                    update={
                        "id": name,
                        "value": float(samples),
                        "protocol": {"num_samples": samples},
                        "software": {"torch": torch},
                    }
                )
                for name, samples, torch in metrics
            ]
        }
    )


def test_metrics_with_the_same_label_are_matched_by_protocol_in_any_order(results: dict[str, Path]) -> None:
    one = with_metrics(load(results["one"]), ("fid", 100, "2.14"), ("fid-2", 500, "2.14"))
    swapped = with_metrics(load(results["one"]), ("fid", 500, "2.14"), ("fid-2", 100, "2.14"))
    first, second = compare([one, swapped]).metrics
    assert (first.name, first.values) == ("FID (fashion-cnn) [fid]", (100, 100))
    assert (second.name, second.values) == ("FID (fashion-cnn) [fid-2]", (500, 500))
    assert first.differing_fields == second.differing_fields == {}


def test_scores_with_the_same_id_but_other_features_are_not_shown_as_one(results: dict[str, Path]) -> None:
    one, (fid,) = load(results["one"]), load(results["one"]).metrics
    target = time_to_target(fid, fid.label, 20.0, one.throughput.windows)
    other = fid.model_copy(update={"label": "FID (inception-v3)", "value": 30.0, "protocol": {}})
    sides = [
        one.model_copy(update={"targets": [target]}),
        one.model_copy(update={"metrics": [other], "targets": [target.model_copy(update={"label": other.label})]}),
    ]
    compared = compare(sides)
    assert [(quantity.name, quantity.values) for quantity in compared.metrics] == [
        ("FID (fashion-cnn)", (fid.value, None)), ("FID (inception-v3)", (None, 30.0)),
    ]  # fmt: skip
    assert [(each.title, [time is None for time in each.times]) for each in compared.targets] == [
        ("FID (fashion-cnn) at most 20", [False, True]), ("FID (inception-v3) at most 20", [True, False]),
    ]  # fmt: skip


def test_warnings_about_scores_are_shown_with_the_results_that_they_concern(results: dict[str, Path]) -> None:
    copies, small = "all images are copies", "few images"
    one, (fid,) = load(results["one"]), load(results["one"]).metrics
    kid = fid.model_copy(update={"id": "kid", "label": "KID", "warnings": [small]})
    sides = [
        one.model_copy(update={"metrics": [fid.model_copy(update={"warnings": [copies, small]}), kid]}),
        one.model_copy(update={"metrics": [fid.model_copy(update={"warnings": [small]})]}),
    ]
    text = table_of(*sides)
    assert f"FID (fashion-cnn): 0: {copies}" in text
    assert f"\n{small}" in text  # about all scores of all results
    assert table_of(one, one).count("FID (fashion-cnn):") == 0
    metrics = ComparisonRecord.of(compare(sides), ["0", "1"]).model_dump()["metrics"]
    assert metrics["FID (fashion-cnn)"]["warnings"] == ((copies, small), (small,))
    assert metrics["KID"]["warnings"] == ((small,), None)


def evaluation_of(run: Result) -> Result:
    """Return the result of an evaluation of the run's images: its scores, without training."""
    return run.model_copy(
        update={
            "throughput": Throughput.without_training(),
            "memory": Memory(device_peak_bytes=None, host_peak_rss_bytes=None),
            "history": [],
        }
    )


def test_an_evaluation_does_not_affect_how_the_speeds_of_runs_are_ranked(results: dict[str, Path]) -> None:
    slow, fast = at_speed(load(results["one"]), 100, 95, 105), at_speed(load(results["one"]), 300, 295, 305)
    rate, _, _, memory = compare([slow, fast, evaluation_of(slow)]).speed
    assert (rate.best, rate.differing_fields, memory.differing_fields) == (1, {}, {})


def test_the_values_of_one_metric_are_matched_in_any_order(results: dict[str, Path]) -> None:
    fid = load(results["one"]).metrics[0]
    precision, recall = (
        fid.model_copy(update={"id": f"pr.{name}", "label": f"precision and recall: {name}", "value": value})
        for name, value in (("precision", 0.25), ("recall", 0.75))
    )
    sides = [
        load(results["one"]).model_copy(update={"metrics": metrics}) for metrics in ([precision, recall], [recall])
    ]
    assert [quantity.values for quantity in compare(sides).metrics] == [(0.25, None), (0.75, 0.75)]


def test_scores_with_different_software_are_ranked_with_a_mark(
    results: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    sides = [with_metrics(load(results["one"]), ("fid", 100, torch)) for torch in ("2.13", "2.14")]
    sides[1].metrics[0] = sides[1].metrics[0].model_copy(update={"value": 90.0})
    (fid,) = compare(sides).metrics
    assert fid.best == 1
    assert fid.software == {"torch": ("2.13", "2.14")}
    for name, side in zip("ab", sides, strict=True):
        (tmp_path / f"{name}.json").write_text(side.to_json())
    _, text = invoke(tmp_path / "a.json", tmp_path / "b.json")
    assert "ranked although the software differs: torch" in " ".join(text.replace("│", " ").split())


def test_a_value_that_is_never_ranked_is_not_said_to_be() -> None:
    quantity = Quantity("KID: std", (1.0, 2.0), None, {}, software={"torch": ("2.13", "2.14")})
    console = Console(file=io.StringIO(), width=200)
    console.print(quantities_table("Scores", [quantity], ["a", "b"]))
    assert "ranked" not in console.file.getvalue()


@pytest.mark.parametrize(
    ("rate", "text"), [(0.4, "0.400"), (2.6, "2.60"), (99.96, "100"), (99.94, "99.9"), (1234.5, "1,234")]
)
def test_slow_rates_have_three_digits(rate: float, text: str) -> None:
    assert rate_text(rate) == text


def test_equal_values_have_no_best() -> None:
    assert Quantity("FID", (7.0, 7.0, 9.0), "lower", {}).best is None
    assert Quantity("FID", (7.0, 8.0, 8.0), "lower", {}).best == 0


def test_values_of_which_higher_is_better_in_one_result_only_are_not_ranked(results: dict[str, Path]) -> None:
    one = load(results["one"])
    other = one.model_copy(
        update={"metrics": [metric.model_copy(update={"higher_is_better": None}) for metric in one.metrics]}
    )
    assert [quantity.better for quantity in compare([one, other]).metrics] == [None]


def test_values_of_different_signs_have_no_ratio() -> None:
    """The estimate of KID is unbiased, so it can be negative."""
    kid = Quantity("kid", (-0.0005, 0.002, 0.004), "lower", {})
    assert (kid.best, kid.ratio(1)) == (0, None)
    assert Quantity("kid", (0.002, -0.0005, 0.004), "lower", {}).ratio(1) is None
    assert Quantity("kid", (0.002, 0.001), "lower", {}).ratio(1) == 0.5
