"""`ganbench report SUITE`: its leaderboard, with the runs that never ended, above its runs."""

from __future__ import annotations

from pathlib import Path

import tomli_w
from report_page import Element, invoke, report, save_run
from test_report import result
from torch import Tensor

from ganbench.errors import ExitCode
from ganbench.results.schema import MetricResult, Result
from ganbench.results.suite_record import CellRecord, SuiteRecord

HINGE, BCE = {1: 4.0, 2: 4.5, 3: 3.5}, {1: 12.0, 2: 12.6, 3: 11.5}  # scores by seed


def save_suite(folder: Path, images: Tensor, scores: dict[str, dict[int, float]]) -> Path:
    """Write the folder of a suite over losses whose runs have these scores; another run, of `wgan`, never began."""
    cells = [cell(loss, seed) for loss, by_seed in scores.items() for seed in by_seed]
    for each in cells:
        loss = each.axes["loss"]
        save_run(folder / "runs" / each.id, scored(loss, each.seed, scores[loss][each.seed]), images, ["epoch-0001"])
    cells.append(cell("wgan", 1))
    (folder / "specs").mkdir(parents=True)
    for each in cells:
        (folder / "specs" / f"{each.id}.toml").write_text(tomli_w.dumps(spec(each.axes["loss"], each.seed)))
    (folder / "suite.json").write_text(SuiteRecord(name="losses", file={}, cells=cells).model_dump_json())
    return folder


def cell(loss: str, seed: int) -> CellRecord:
    return CellRecord(id=f"{loss}-{seed}-0a1b", label=f"loss={loss}, seed={seed}", axes={"loss": loss}, seed=seed)


def spec(loss: str, seed: int) -> dict[str, object]:
    return {"name": "dcgan-fashion", "loss": {"name": loss}, "training": {"batch_size": 50, "seed": seed}}


def scored(loss: str, seed: int, value: float) -> Result:
    (fid,) = result().metrics
    metric: MetricResult = fid.model_copy(update={"value": value})
    return result(spec=spec(loss, seed), metrics=[metric])


def leaderboard(page: Element) -> list[list[str]]:
    (table,) = (table for table in page.find("table") if "data-sortable" in table.attributes)
    return [[each.text for each in row.find("th", "td")] for row in table.find("tr")]


def test_a_suite_is_shown_as_a_leaderboard_above_its_runs(tmp_path: Path, images: Tensor) -> None:
    page = report(save_suite(tmp_path / "losses", images, {"bce": BCE, "hinge": HINGE}))
    header, *rows = leaderboard(page)
    assert header[:4] == ["Row", "Rank", "Seeds", "Mean ± SD"]
    assert [row[:4] for row in rows] == [
        ["dcgan-fashion, loss=hinge", "1", "3", "4.0000 ± 0.5000"],
        ["dcgan-fashion, loss=bce", "2", "3", "12.0333 ± 0.5508"],
        ["dcgan-fashion, loss=wgan", "", "0 (1 unfinished)", "none"],
    ]
    assert [section.attributes["id"] for section in page.find("section")][:2] == ["leaderboard", "scores"]
    assert [each.find("b")[0].text for each in page.find("ul")[0].find("li")] == [
        f"loss={loss}, seed={seed}" for loss in ("bce", "hinge") for seed in (1, 2, 3)
    ]


def test_the_page_of_a_suite_has_its_name_and_folds_a_long_list_of_runs(tmp_path: Path, images: Tensor) -> None:
    page = report(save_suite(tmp_path / "some", images, {"bce": BCE, "hinge": HINGE}))
    assert page.find("h1")[0].text == "losses: 6 runs"
    assert not page.find("header")[0].find("details")
    page = report(save_suite(tmp_path / "many", images, {"bce": {**BCE, 4: 12.0}, "hinge": HINGE}))
    (folded,) = page.find("header")[0].find("details")
    assert len(folded.find("li")) == 7
    assert "open" not in folded.attributes


def test_rows_that_do_not_differ_significantly_are_named(tmp_path: Path, images: Tensor) -> None:
    page = report(save_suite(tmp_path / "losses", images, {"bce": {1: 4.1, 2: 4.4}, "hinge": {1: 4.0, 2: 4.5}}))
    assert [row[1] for row in leaderboard(page)[1:]] == ["1", "1", ""]
    assert "not significantly different: dcgan-fashion, loss=" in page.text


def test_runs_of_two_suites_are_named_by_their_paths_if_their_labels_are_equal(tmp_path: Path, images: Tensor) -> None:
    suites = [save_suite(tmp_path / name, images, {"bce": {1: 4.0}}) for name in ("one", "two")]
    names = [each.find("b")[0].text for each in report(*suites).find("ul")[0].find("li")]
    assert names == ["one/runs/bce-1-0a1b", "two/runs/bce-1-0a1b"]


def test_runs_without_a_suite_have_no_leaderboard(tmp_path: Path, images: Tensor) -> None:
    suite = save_suite(tmp_path / "losses", images, {"bce": BCE})
    assert "Leaderboard" not in report(*sorted((suite / "runs").iterdir())).text


def test_a_suite_without_results_is_an_error(tmp_path: Path, images: Tensor) -> None:
    suite = save_suite(tmp_path / "losses", images, {})
    code, output = invoke(suite)
    assert code == ExitCode.NOT_COMPARABLE
    assert f"no run of this suite has a result yet; `ganbench suite status {suite}` shows why" in " ".join(
        output.split()
    )


def test_a_run_that_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path, images: Tensor) -> None:
    folder = save_suite(tmp_path / "losses", images, {"bce": BCE, "hinge": HINGE})
    cut = folder / "runs" / cell("bce", 1).id
    (cut / "result.json").write_text("{")
    page = report(folder)
    assert [row[2] for row in leaderboard(page)[1:]] == ["3", "2", "0 (1 unfinished)"]
    code, text = invoke(folder)
    assert code == ExitCode.DONE
    assert f"{cut}: left out: result {cut}/result.json: corrupt" in text
