"""Runs with several seeds, from Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from callbacks import press_ctrl_c
from command_line import run_command
from conftest import SMALL, UNSCORED

import ganbench
from ganbench.errors import ExitCode
from ganbench.results.schema import load_result
from ganbench.training.run_state import RunState

QUICK = [*SMALL, "metrics.0.num_samples=20", "training.steps=2"]
COMMAND = ["run", "dcgan-fashion", *(word for override in QUICK for word in ("-o", override)), "--device", "cpu"]


def test_each_run_is_the_one_of_its_seed() -> None:
    runs = ganbench.run_seeds("dcgan-fashion", np.array([3, 1]), *QUICK, out="seeds", device="cpu", quiet=True)
    assert [run.directory for run in runs] == [Path("seeds/seed-3"), Path("seeds/seed-1")]
    alone = ganbench.run("dcgan-fashion", *QUICK, seed=1, device="cpu", quiet=True)
    assert runs[1].result.spec == alone.result.spec
    assert runs[1].result.metrics == alone.result.metrics
    assert runs[0].result.metrics[0].value != runs[1].result.metrics[0].value


def test_the_default_folder_is_a_new_one_for_all_seeds() -> None:
    first, second = ganbench.run_seeds("dcgan-fashion", [1, 2], *UNSCORED, "training.steps=2", device="cpu", quiet=True)
    assert first.directory.parent == second.directory.parent
    assert first.directory.parent.parent == Path("runs/dcgan-fashion")


def test_the_command_shows_each_seed_and_their_mean() -> None:
    ended = run_command(*COMMAND, "--seeds", "1,2", "--out", "seeds", "--report")
    assert ended.exit_code == ExitCode.DONE
    assert "seed-1 │ completed" in ended.stdout
    assert "Mean ± SD" in ended.stdout
    assert "seeds/report.html: 2 runs" in ended.stdout


def test_the_command_summarizes_every_score() -> None:
    small = ["dataset.train_points=1600", "dataset.test_points=160", "training.steps=2", "metrics.0.num_samples=200"]
    ended = run_command(
        "run", "mlp-ring", *(word for override in small for word in ("-o", override)), "--seeds", "1,2", columns=200
    )
    assert ended.exit_code == ExitCode.DONE
    titles = [line.strip() for line in ended.stdout.splitlines() if line.strip().endswith(" is better")]
    assert titles == ["modes: covered, higher is better", "modes: high_quality, higher is better"]
    assert ended.stdout.count("Mean ± SD") == 2


def test_json_has_the_results_in_the_order_of_the_seeds() -> None:
    ended = run_command(*COMMAND, "--seeds", "2,1", "--json")
    assert ended.exit_code == ExitCode.DONE
    assert [result["spec"]["training"]["seed"] for result in json.loads(ended.stdout)] == [2, 1]


def test_an_error_of_one_seed_does_not_keep_others_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    add = RunState.add

    def failing(self: RunState, images: int) -> None:
        add(self, images)
        if self.prepared.spec.training.seed == 1:
            raise ValueError("this seed fails")

    monkeypatch.setattr(RunState, "add", failing)
    ended = run_command(*COMMAND, "--seeds", "1,2", "--out", "seeds")
    assert ended.exit_code == ExitCode.FAILED
    assert "error: seed-1: the run failed after 1 step: ValueError: this seed fails" in ended.stdout
    assert load_result("seeds/seed-2").status == "completed"
    with pytest.raises(ganbench.PluginError, match=r"seed-1: the run failed .* the other seeds have ended"):
        ganbench.run_seeds("dcgan-fashion", [1, 2], *QUICK, device="cpu", quiet=True)


def test_ctrl_c_ends_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    add = RunState.add

    def interrupted(self: RunState, images: int) -> None:
        add(self, images)
        press_ctrl_c()

    monkeypatch.setattr(RunState, "add", interrupted)
    ended = run_command(*COMMAND, "--seeds", "1,2", "--out", "seeds")
    assert ended.exit_code == ExitCode.INTERRUPTED
    assert "resume with: ganbench run --resume seeds/seed-1" in " ".join(ended.stdout.split())
    assert "not started: seed-2" in ended.stdout
    assert not Path("seeds/seed-2").exists()


def test_ctrl_c_while_a_seed_is_scored_also_ends_the_seeds_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pressing(ganbench.Display):
        def on_score(self, label: str, point: ganbench.MetricPoint) -> None:
            if point.epoch > 0:
                press_ctrl_c()

    monkeypatch.setattr("ganbench.reporting.display.terminal_display", lambda _: Pressing())
    ended = run_command(*COMMAND, "--seeds", "1,2", "--out", "seeds")
    assert ended.exit_code == ExitCode.INTERRUPTED
    assert "seed-1 │ completed" in ended.stdout
    assert "not started: seed-2" in ended.stdout


def test_a_run_over_several_processes_has_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TORCHELASTIC_RUN_ID": "none",
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ganbench.UsageError, match="a run over several processes has one seed"):
        ganbench.run_seeds("dcgan-fashion", [1, 2], *QUICK, device="cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1,x"], "--seeds 1,x: expected integers separated by commas"),
        (["--seeds", ""], "--seeds : expected integers separated by commas"),
        (["--seeds", "1,2,1"], "seeds: 1 is given twice"),
        (["--seeds", "1,-2"], "seeds: -2 is not an integer from 0"),
        (["--seeds", "1,2", "--seed", "3"], "omit --seed and --resume"),
        (["--seeds", "1,2", "-o", "training.seed=3"], "seeds and -o training.seed are mutually exclusive"),
        (["--seeds", "1,2", "--out", "full"], "run directory full: not empty"),
        (["--seeds", "1,2", "-o", "training.batch_size=6000"], "training.batch_size"),
    ],
)
def test_wrong_arguments_are_refused_before_training(arguments: list[str], message: str) -> None:
    Path("full").mkdir()
    Path("full/file").write_text("")
    ended = run_command(*COMMAND, *arguments)
    assert ended.exit_code == ExitCode.USAGE
    assert message in " ".join(ended.stderr.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (3, "seeds: expected a list of integers, got 3"),
        ("1,2", "seeds: expected a list of integers, got '1,2'"),
        ([1, 1.5], "seeds: 1.5 is not an integer"),
        ([True], "seeds: True is not an integer"),
        (range(0), "seeds: give at least one"),
    ],
)
def test_seeds_of_another_type_are_named(seeds: Any, message: str) -> None:
    with pytest.raises(ganbench.UsageError, match=message):
        ganbench.run_seeds("dcgan-fashion", seeds, quiet=True)
