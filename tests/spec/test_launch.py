"""A run is resumed without repeating the options with which it was started."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from command_line import run_command
from conftest import UNSCORED

from ganbench import load
from ganbench.errors import ExitCode, GanbenchWarning
from ganbench.gate.options import make_config
from ganbench.results.schema import load_result
from ganbench.spec.launch import read_launch

LEAST_SQUARES = """
from ganbench import LossPlugin, hookimpl

class LeastSquares:
    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return (real - 1).square().mean() + fake.square().mean(), {}

    def generator_loss(self, players, batch):
        return (players.discriminate(players.generate(batch)) - 1).square().mean(), {}

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="lsq", summary="Least squares", build=lambda options, context: LeastSquares())]
"""
OPTION = """
from pydantic import Field
from ganbench import Options

class Margin(Options):
    margin: float = Field(0.5, description="ignored")
"""
WITH_AN_OPTION = OPTION + LEAST_SQUARES.replace('name="lsq"', 'name="lsq", options=Margin')
OVERRIDES = [*UNSCORED, "training.batch_size=25", "sample_images.real=0", "sample_images.generated=0"]
SMALL_RUN = [argument for override in OVERRIDES for argument in ("-o", override)]


def ganbench(*arguments: str | Path) -> tuple[int, str]:
    outcome = run_command(*arguments, columns=300)
    return outcome.exit_code, outcome.output


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """The folder of a run, next to the plugin file and the data folder that it uses."""
    place = tmp_path / "place"
    (place / "data").mkdir(parents=True)
    (place / "lsq.py").write_text(LEAST_SQUARES)
    code, text = ganbench(
        *("run", "dcgan-fashion", *SMALL_RUN, "--steps", "1", "-o", "loss=lsq", "--device", "cpu"),
        *("-p", "place/lsq.py", "--data-dir", "place/data", "--out", "place/run"),
    )
    assert code == ExitCode.DONE, text
    return place / "run"


def test_a_run_is_resumed_with_its_original_plugins_and_data(
    started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, text = ganbench("run", "--resume", started, "--steps", "2")
    assert code == ExitCode.DONE, text
    assert load_result(started).history[-1].images == 2 * 25
    launch = read_launch(started)
    assert (launch.data_dir, launch.device) == (str(started.parent / "data"), "cpu")


def test_a_run_that_moved_with_its_plugin_is_resumed(started: Path, tmp_path: Path) -> None:
    started.parent.rename(tmp_path / "moved")
    code, text = ganbench("run", "--resume", "moved/run", "--steps", "2")
    assert code == ExitCode.DONE, text
    assert "which the run was started with, no longer exists; using the default one" in text
    assert read_launch(tmp_path / "moved" / "run").plugins[0].given == str(tmp_path / "moved" / "lsq.py")


def test_a_copy_of_the_plugin_in_another_folder_is_accepted(started: Path, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    shutil.move(started.parent / "lsq.py", tmp_path / "copies" / "lsq.py")
    code, text = ganbench("run", "--resume", started, "--steps", "2", "-p", "copies/lsq.py")
    assert code == ExitCode.DONE, text


@pytest.mark.parametrize("lost", [True, False])
def test_a_run_is_used_without_the_plugin_of_its_loss(lost: bool, started: Path) -> None:
    file = started.parent / "lsq.py"
    if lost:
        file.unlink()
        warning = f"-p {file}: no such file; continuing without this plugin of the run"
    else:
        file.write_text(LEAST_SQUARES + "# changed")
        warning = f"the plugin {file} has changed since the run was started, from sha256:"
    scores = ["--metrics", "fid", "--features", "raw", "-o", "metrics.0.features.size=2", "-n", "20"]
    for command in (
        ["sample", started, "-n", "20", "--out", "x.npz"],
        ["eval", started, *scores],
        ["eval", "x.npz", "--against", started, *scores],
    ):
        code, text = ganbench(*command)
        assert code == ExitCode.DONE, text
        assert warning in text
    with pytest.warns(GanbenchWarning, match="no such file" if lost else "has changed"):
        assert len(load(started).sample(2).images) == 2


def test_a_plugin_with_another_name_is_refused_with_both_names(started: Path, tmp_path: Path) -> None:
    shutil.move(started.parent / "lsq.py", tmp_path / "least_squares.py")
    code, text = ganbench("run", "--resume", started, "--steps", "2", "-p", "least_squares.py")
    assert code == ExitCode.NOT_COMPARABLE
    assert re.search(r"conditions changed: loss lsq: lsq.py sha256:.*, now least_squares.py sha256:.*Restore", text)


@pytest.mark.parametrize("again", [["--resume", "place/run"], ["place/run/spec.toml"]])
def test_the_error_for_a_missing_plugin_names_it_with_its_hash(again: list[str], started: Path) -> None:
    (started.parent / "lsq.py").unlink()
    code, text = ganbench("run", *again)
    assert code == ExitCode.NOT_COMPARABLE
    assert f"the plugin {started.parent / 'lsq.py'} (sha256:" in text
    assert "pass a copy of the same name with -p" in text


@pytest.mark.parametrize("modified", [f"{LEAST_SQUARES}# changed", WITH_AN_OPTION])
def test_a_modified_plugin_is_rejected(modified: str, started: Path, tmp_path: Path) -> None:
    (tmp_path / "lsq.py").write_text(modified)
    code, text = ganbench("run", "--resume", started, "--steps", "2", "-p", "lsq.py")
    assert code == ExitCode.NOT_COMPARABLE
    assert "loss lsq: lsq.py sha256:" in text
    (tmp_path / "lsq.py").rename(started.parent / "lsq.py")
    code, text = ganbench("run", "--resume", started, "--steps", "2")
    assert code == ExitCode.NOT_COMPARABLE
    assert f"the plugin {started.parent / 'lsq.py'} has changed since the run was started" in text


def test_a_run_that_was_killed_before_its_first_checkpoint_may_have_a_plugin_with_a_new_option(started: Path) -> None:
    for name in ("checkpoint.pt", "result.json", "history.csv"):
        (started / name).unlink()
    (started.parent / "lsq.py").write_text(WITH_AN_OPTION)
    code, text = ganbench("run", "--resume", started, "-p", "place/lsq.py", "-o", "loss.margin=0.6")
    assert code == ExitCode.USAGE
    assert "--resume can only extend a run; changed: loss.margin: 0.5, now 0.6" in text
    code, text = ganbench("run", "--resume", started, "-p", "place/lsq.py")
    assert code == ExitCode.DONE, text
    assert load_result(started).spec["loss"] == {"name": "lsq", "margin": 0.5}


def test_the_spec_of_a_run_loads_its_plugins(started: Path) -> None:
    code, text = ganbench("show", started / "spec.toml")
    assert code == ExitCode.DONE, text
    assert 'name = "lsq"' in text
    code, text = ganbench("run", started / "spec.toml", "--out", "another", "--device", "cpu")
    assert code == ExitCode.DONE, text
    assert load_result(Path("another")).spec["loss"]["name"] == "lsq"


def test_an_invalid_launch_record_is_rejected_by_name(started: Path) -> None:
    file = started / "launch.json"
    file.write_text('{"plugins": 3}')
    code, text = ganbench("run", "--resume", started)
    assert code == ExitCode.USAGE
    assert "launch.json: corrupt, or not written by ganbench" in text
    file.unlink()
    file.mkdir()
    code, text = ganbench("run", "--resume", started)
    assert code == ExitCode.USAGE
    assert "launch.json: cannot read it: Is a directory" in text


def test_a_run_of_a_missing_device_is_not_sent_to_another_one(started: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    file = started / "launch.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "device": "cuda"}))
    code, text = ganbench("run", "--resume", started)
    assert code == ExitCode.USAGE
    assert "--device cuda: this machine has no CUDA device; a run is resumed on a device of the same kind" in text
    assert "--device cpu" not in text


def test_the_gate_and_an_audit_load_the_plugins_of_a_run(started: Path) -> None:
    spec = started / "spec.toml"
    config = make_config(str(spec), [], [], "cpu", None, windows=1, window_seconds=0.1)
    assert config.session_config.plugins == [str(started.parent / "lsq.py")]
    code, text = ganbench(
        *("audit", "fid", "--on", spec, "--features", "raw", "-o", "metrics.0.features.size=4"),
        *("-n", "20", "--draws", "2"),
    )
    assert code == ExitCode.DONE, text


@pytest.mark.parametrize("command", [["run"], ["sweep", "-o", "training.seed=1:2:2"], ["check", "--self-test"]])
def test_a_misspelled_data_folder_is_not_created(command: list[str], tmp_path: Path) -> None:
    code, text = ganbench(command[0], "dcgan-fashion", *command[1:], "--data-dir", tmp_path / "tpyo")
    assert code == ExitCode.USAGE
    assert f"--data-dir {tmp_path / 'tpyo'}: no such folder" in text
    assert not (tmp_path / "tpyo").exists()


def test_a_misspelled_data_folder_in_the_environment_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANBENCH_DATA", "tpyo")
    code, text = ganbench("run", "dcgan-fashion", *SMALL_RUN, "--steps", "1")
    assert code == ExitCode.USAGE
    assert "GANBENCH_DATA=tpyo: no such folder" in text
