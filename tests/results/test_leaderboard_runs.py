"""Which runs a leaderboard counts, in which row, and which it names instead."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_leaderboard import PROTOCOL, boards, csv_rows, invoke, score, write

from ganbench.errors import ExitCode
from ganbench.results.suite_record import CellRecord, SuiteRecord


def test_every_run_is_counted_however_it_ended(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "good", seed, score(10.0 + seed))
    write(tmp_path, "good", 2, score(None), status="diverged")
    write(tmp_path, "good", 3, None, status="failed")
    write(tmp_path, "broken", 0, None, status="diverged")
    killed = tmp_path / "runs" / "killed"
    killed.mkdir()
    (killed / "spec.toml").write_text(
        'name = "dcgan-fashion"\nloss = {name = "good", margin = 0.1}\ntraining = {seed = 4, epochs = 1}'
    )
    (board,) = boards("runs")
    assert [row["statuses"] for row in board["rows"]] == [
        {"completed": 2, "diverged": 1, "failed": 1, "unfinished": 1}, {"diverged": 1},
    ]  # fmt: skip
    assert [row["rank"] for row in board["rows"]] == [1, None]
    assert "looks better than it is" in invoke("runs")[1]


def test_a_completed_run_without_a_finite_score_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "good", 0, score(10.0))
    write(tmp_path, "good", 1, score(None))
    text = invoke("runs")[1]
    assert "1 (1 not finite)" in text
    assert "looks better than it is" in text
    (row,) = csv_rows("runs")
    assert (row["seeds"], row["not_finite"]) == ("1", "1")


def test_nan_in_a_file_of_another_program_is_no_score(tmp_path: Path) -> None:
    write(tmp_path, "good", 0, score(10.0))
    write(tmp_path, "good", 1, score(11.0))
    file = tmp_path / "runs" / "good-1" / "result.json"
    file.write_text(file.read_text().replace('"value": 11.0', '"value": NaN'))
    (board,) = boards("runs")
    assert board["rows"][0]["scores"] == {"0": 10.0, "1": None}
    assert board["rows"][0]["last"]["mean"] == 10.0


def test_a_repeated_run_is_not_counted_twice_and_a_note_says_so(tmp_path: Path) -> None:
    for folder, value in (("first", 10.0), ("second", 30.0)):
        write(tmp_path / folder, "good", 0, score(value))
    write(tmp_path / "third", "good", 0, None, status="failed")  # superseded, as nothing came of it
    (board,) = boards("first", "second", "third")
    assert board["rows"][0]["scores"] == {"0": 10.0}
    assert board["rows"][0]["statuses"] == {"completed": 1}
    assert "not counted: 1 run with the settings and the seed of another" in invoke("first", "second", "third")[1]


def test_a_divergence_is_not_hidden_by_a_run_that_was_killed(tmp_path: Path) -> None:
    write(tmp_path, "good", 0, score(10.0))
    write(tmp_path / "a", "good", 1, None, status="diverged")
    write(tmp_path / "b", "good", 1, None, status="interrupted")
    (board,) = boards("b", "a", "runs")
    assert board["rows"][0]["statuses"] == {"completed": 1, "diverged": 1}


def test_rows_with_different_seeds_say_that_their_tests_are_over_fewer(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "a", seed, score(10.0 + seed))
    for seed in range(1, 3):
        write(tmp_path, "b", seed, score(12.0 - seed))
    (board,) = boards("runs")
    assert board["comparisons"][0]["difference"]["seeds"] == 2
    assert "rows have different seeds" in invoke("runs")[1]
    write(tmp_path, "b", 0, score(12.0))
    assert "rows have different seeds" not in invoke("runs")[1]


def test_rows_whose_settings_look_alike_are_all_shown(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "a", seed, score(10.0 + seed))
    file = tmp_path / "runs" / "a-1" / "result.json"
    file.write_text(file.read_text().replace('"margin": 0.1', '"margin": "0.1"'))
    (board,) = boards("runs")
    assert [row["label"] for row in board["rows"]] == [
        "dcgan-fashion", "dcgan-fashion (2)",
    ]  # fmt: skip


def test_runs_over_more_processes_are_another_row(tmp_path: Path) -> None:
    write(tmp_path / "alone", "a", 0, score(10.0))
    write(tmp_path / "split", "a", 0, score(11.0), conditions={"threads": 1, "processes": 2})
    (board,) = boards("alone/runs", "split/runs")
    assert [row["label"] for row in board["rows"]] == ["dcgan-fashion, processes=1", "dcgan-fashion, processes=2"]


def test_runs_with_one_seed_but_different_protocols_are_in_both_tables(tmp_path: Path) -> None:
    write(tmp_path / "one", "a", 0, score(10.0))
    write(tmp_path / "other", "a", 0, score(1.0, {**PROTOCOL, "num_samples": 100}))
    found = boards("one", "other")
    assert [[row["scores"] for row in board["rows"]] for board in found] == [[{"0": 10.0}], [{"0": 1.0}]]


def test_evaluations_of_images_made_elsewhere_are_rows_of_their_own(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, f"file{seed}", seed, score(10.0 + seed))
        file = tmp_path / "runs" / f"file{seed}-{seed}" / "result.json"
        evaluation = json.loads(file.read_text()) | {"spec": {"metrics": []}, "benchmark": "samples"}
        (tmp_path / f"{seed}.json").write_text(json.dumps(evaluation))
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "notes.json").write_text("[]")
    assert boards("0.json", "1.json") == boards(".")
    (board,) = boards("0.json", "1.json")
    assert [row["label"] for row in board["rows"]] == ["samples, file=0.json", "samples, file=1.json"]
    assert [row["last"]["mean"] for row in board["rows"]] == [10.0, 11.0]


def test_a_run_is_found_once_whatever_leads_to_it(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, score(10.0))
    (tmp_path / "runs" / "latest").symlink_to("a-0")
    for number in range(2):
        (tmp_path / "runs" / f"loop{number}").symlink_to(tmp_path)
    (board,) = boards("runs", "runs/a-0/result.json", ".")
    assert board["rows"][0]["statuses"] == {"completed": 1}
    assert "not counted" not in invoke("runs", "runs/a-0/result.json")[1]


def test_a_folder_that_cannot_be_read_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "good", 0, score(10.0))
    (tmp_path / "runs" / "lost+found").mkdir()
    entries = Path.iterdir

    def iterdir(folder: Path) -> Any:
        if folder.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return entries(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, text = invoke("runs")
    assert code == ExitCode.DONE
    assert "lost+found: left out: Permission denied" in text
    assert invoke("runs/lost+found")[0] == ExitCode.NOT_COMPARABLE


def test_a_folder_that_may_only_be_listed_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "good", 0, score(10.0))
    (tmp_path / "runs" / "listed").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "listed" and access(path, mode))
    code, text = invoke("runs")
    assert code == ExitCode.DONE
    assert "listed: left out: Permission denied" in text


def test_an_unfinished_run_over_processes_is_in_the_row_of_the_finished_ones(tmp_path: Path) -> None:
    two = {"conditions": {"processes": 2}}
    for seed in range(2):
        write(tmp_path, "good", seed, score(10.0 + seed), **two)
    killed = tmp_path / "runs" / "killed"
    killed.mkdir()
    spec = 'name = "dcgan-fashion"\nloss = {name = "good", margin = 0.1}\ntraining = {seed = 2, epochs = 1}'
    (killed / "spec.toml").write_text(spec)
    (killed / "launch.json").write_text('{"processes": 2}')
    (board,) = boards("runs")
    assert [row["statuses"] for row in board["rows"]] == [{"completed": 2, "unfinished": 1}]


def set_data(directory: Path, path: str, content: str) -> None:
    """Change the data of a result to that of a folder."""
    file = directory / "result.json"
    result = json.loads(file.read_text())
    result["data"]["content_sha256"] = content
    result["spec"]["dataset"] = {"name": "image-folder", "path": path}
    file.write_text(json.dumps(result))


def test_a_row_has_the_runs_on_the_same_data_wherever_that_was(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for seed, (path, content) in enumerate([("here", "a" * 64), ("there", "a" * 64), ("here", "b" * 64)]):
        write(tmp_path, "good", seed, score(10.0 + seed))
        set_data(runs / f"good-{seed}", path, content)
    (runs / "killed").mkdir()
    (runs / "killed" / "spec.toml").write_text(
        'name = "dcgan-fashion"\nloss = {name = "good", margin = 0.1}\ntraining = {seed = 4, epochs = 1}\n'
        'dataset = {name = "image-folder", path = "there"}'
    )
    (board,) = boards("runs")
    assert [(row["label"], row["statuses"]) for row in board["rows"]] == [
        (f"dcgan-fashion, content of the data={'a' * 16}", {"completed": 2, "unfinished": 1}),
        (f"dcgan-fashion, content of the data={'b' * 16}", {"completed": 1}),
    ]
    set_data(runs / "good-2", "elsewhere", "b" * 64)
    (board,) = boards("runs")
    assert [row["label"] for row in board["rows"]] == [
        "dcgan-fashion, dataset.path=here", "dcgan-fashion, dataset.path=elsewhere",
    ]  # fmt: skip


def test_cells_from_before_and_after_a_new_option_are_one_row(tmp_path: Path) -> None:
    cells = [CellRecord(id=f"good-{seed}", label="", axes={}, seed=seed) for seed in range(2)]
    (tmp_path / "specs").mkdir()
    for cell in cells:
        write(tmp_path, "good", cell.seed, score(10.0 + cell.seed))
        (tmp_path / "specs" / f"{cell.id}.toml").write_text(
            'name = "dcgan-fashion"\nloss = {name = "good", margin = 0.1, power = 2}\n'
            f"training = {{seed = {cell.seed}, epochs = 1}}"
        )
    (tmp_path / "suite.json").write_text(SuiteRecord(name="mine", file={}, cells=cells).model_dump_json())
    newer = tmp_path / "runs" / "good-1" / "result.json"
    newer.write_text(newer.read_text().replace('"margin": 0.1', '"margin": 0.1, "power": 2'))
    (board,) = boards(".")
    assert [row["statuses"] for row in board["rows"]] == [{"completed": 2}]
    (tmp_path / "specs" / "good-0.toml").unlink()  # the result suffices
    assert sum(row["statuses"]["completed"] for row in boards(".")[0]["rows"]) == 2
