"""`ganbench.run` does what the command does, from a script or a notebook."""

from __future__ import annotations

import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from conftest import SMALL, UNSCORED

import ganbench
from ganbench.api.spec import resolve_spec
from ganbench.errors import GanbenchWarning
from ganbench.plugin.callbacks import Callback, Progress

QUICK = [*UNSCORED, "training.steps=2", "training.batch_size=16", "sample_images.real=0"]

LOSS = """
from ganbench import LossPlugin, hookimpl

class Own:
    def discriminator_loss(self, players, batch):
        return players.discriminate(players.generate(batch)).mean(), {"own_monitor": batch.real.mean()}

    def generator_loss(self, players, batch):
        return -players.discriminate(players.generate(batch)).mean(), {}

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="own", summary="Own loss", build=lambda options, context: Own())]
"""


def quick(*overrides: str, out: str = "run", **arguments: Any) -> ganbench.Run:
    return ganbench.run("dcgan-fashion", *QUICK, *overrides, out=out, device="cpu", **{"quiet": True, **arguments})


def test_a_run_returns_its_result_and_shows_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    run = ganbench.run("dcgan-fashion", *SMALL, "metrics.0.at_epochs=[]", steps=2, seed=7, device="cpu", out="x")
    shown = capsys.readouterr().out
    assert "dcgan-fashion: " in shown
    assert "epoch 1: D Loss" in shown
    assert ("fp32" in shown, "tf32" in shown) == (True, False)  # what the spec's tf32 is on a CPU
    assert run.directory == Path("x")
    assert run.result == ganbench.load_result("x") == ganbench.load("x").result
    assert run.result.spec["training"]["seed"] == 7
    assert run.result.scores == {"fid": run.result.metrics[0].value}
    lists = run.result.history_lists()
    assert lists["epoch"] == [1]
    assert lists["d_loss"] == [run.result.history[0].d_loss]
    assert lists["real_score"] == [run.result.history[0].monitors["real_score"]]


def test_paths_may_be_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "own.py").write_text(LOSS)
    monkeypatch.setenv("HOME", str(home))
    (home / "mine.toml").write_text(ganbench.load_spec("dcgan-fashion", *QUICK).to_toml())
    run = ganbench.run(
        *("~/mine.toml", "loss=own"), plugins="~/own.py", data_dir="~/data", out="~/run", device="cpu", quiet=True
    )
    assert run.directory == home / "run"
    assert run.result == ganbench.load("~/run").result == ganbench.load_result("~/run")
    against = {"against": "dcgan-fashion", "count": 20, "device": "cpu"}
    fid = ["dataset.source=embedded", "metrics=[{name='fid',features='raw'}]"]
    with pytest.warns(GanbenchWarning):
        scored = ganbench.evaluate("~/run", *fid, **against)
    assert scored.scores["fid"] > 0
    assert not Path("~").exists()


def test_a_quiet_run_prints_nothing_and_warns_as_python_does(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(GanbenchWarning, match="20 images do not determine") as caught:
        quick("metrics=[{name='fid',features='fashion-cnn',num_samples=20}]")
    assert {Path(warning.filename).name for warning in caught} == {"test_run.py"}  # not a file of ganbench
    assert capfd.readouterr().out == ""


def test_a_benchmark_is_a_name_a_file_or_a_spec(tmp_path: Path) -> None:
    spec = ganbench.load_spec("dcgan-fashion", *QUICK)
    (tmp_path / "mine.toml").write_text(spec.to_toml())
    by_file = ganbench.run(tmp_path / "mine.toml", out="a", device="cpu", quiet=True)
    changed = ganbench.run(spec, "training.steps=1", out="b", device="cpu", quiet=True)
    assert by_file.result.spec == ganbench.load_spec("mine.toml").to_dict() == spec.to_dict()
    assert changed.result.spec["training"]["steps"] == 1


def test_a_spec_has_the_published_curve_of_its_benchmark_in_any_form(tmp_path: Path) -> None:
    spec = ganbench.load_spec("dcgan-fashion")
    (tmp_path / "cell.toml").write_text(spec.to_toml())
    forms = ["dcgan-fashion", "dcgan-fashion@ganbench", spec, "cell.toml"]
    first, *others = [resolve_spec(form, [], []).published_curve for form in forms]
    assert first is not None
    assert others == [first] * 3


def test_a_plugin_file_is_given_once_also_for_a_spec(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LOSS)
    spec = ganbench.load_spec("dcgan-fashion", *QUICK, "loss=own", plugins=Path("own.py"))
    run = ganbench.run(spec, "training.steps=1", out="run", device="cpu", quiet=True)
    assert "own_monitor" in run.result.history_lists()
    resumed = ganbench.run(resume="run", steps=2, quiet=True)
    assert resumed.result.run_id == run.result.run_id


def test_the_callback_gets_the_events_besides_the_display(capsys: pytest.CaptureFixture[str]) -> None:
    class Steps(Callback):
        seen = 0

        def on_window_end(self, progress: Progress) -> None:
            self.seen = progress.step

    steps = Steps()
    quick(quiet=False, callback=steps)
    assert steps.seen == 2
    assert "epoch 1" in capsys.readouterr().out


class PressesCtrlC(Callback):
    pressed = False

    def on_window_end(self, progress: Progress) -> None:
        if not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_run_leaves_the_result_so_far_as_on_the_command_line() -> None:
    scored = [*SMALL, "metrics.0.num_samples=20"]
    run = ganbench.run("dcgan-fashion", *scored, epochs=10_000, out="run", quiet=True, callback=PressesCtrlC())
    assert run.result.status == "interrupted"
    assert run.result.metrics[0].curve[-1].images == sum(row.images for row in run.result.history) > 0
    assert "interrupted" in repr(run)
    assert ganbench.load("run").result == run.result


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("run dcgan-fashon", lambda: ganbench.run("dcgan-fashon")),
        ("run none.toml", lambda: ganbench.run(Path("none.toml"))),
        ("run dcgan-fashion -o training.epoch=1", lambda: ganbench.run("dcgan-fashion", "training.epoch=1")),
        ("run dcgan-fashion -o epochs", lambda: ganbench.run("dcgan-fashion", "epochs")),
        ("run dcgan-fashion --budget 5", lambda: ganbench.run("dcgan-fashion", budget="5")),
        ("run dcgan-fashion --out full", lambda: ganbench.run("dcgan-fashion", out="full")),
        ("run dcgan-fashion --device tpu", lambda: ganbench.run("dcgan-fashion", device="tpu", quiet=True)),
        ("run dcgan-fashion --data-dir no", lambda: ganbench.run("dcgan-fashion", data_dir="no", quiet=True)),
        ("run dcgan-fashion --track none", lambda: ganbench.run("dcgan-fashion", track=["none"])),
        ("run dcgan-fashion --track none", lambda: ganbench.run("dcgan-fashion", track="none")),
        ("run dcgan-fashion -p no.py", lambda: ganbench.run("dcgan-fashion", plugins=["no.py"])),
        ("run dcgan-fashion -p no.py", lambda: ganbench.run("dcgan-fashion", plugins="no.py")),
        ("run --resume full", lambda: ganbench.run(resume="full")),
        ("run", lambda: ganbench.run()),
        ("compare full full", lambda: ganbench.compare("full", "full")),
        ("compare full", lambda: ganbench.compare("full")),
    ],
)
def test_an_error_has_the_text_of_the_command_line(command: str, call: Any, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    outcome = run_command(*shlex.split(command), columns=1000)
    with pytest.raises(ganbench.GanbenchError) as caught:
        call()
    assert outcome.exit_code == caught.value.exit_code
    assert f"error: {caught.value}\n" in outcome.stderr
    assert "\n" not in str(caught.value)


def start(*arguments: Any, **named: Any) -> Any:
    return lambda: ganbench.run("dcgan-fashion", *arguments, quiet=True, **named)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ganbench.run(5),
            "benchmark: expected a name, the path of a TOML file or a spec from load_spec, got int",
        ),
        (start(["loss=hinge"]), "override ['loss=hinge']: expected text of the form PATH=VALUE"),
        (start(epochs=2.5), "training.epochs: must be an integer"),
        (start(out=5), "out: expected a path, got int"),
        (start(data_dir=5), "data_dir: expected a path, got int"),
        (start(data_dir=""), "data_dir: expected a path, got an empty string"),
        (start(data_dir="x" * 300), "x: no such folder"),
        (start(plugins=f"{'x' * 300}.py"), "x.py: no such file"),
        (lambda: ganbench.run("model = 'dcgan'\n" * 30, quiet=True), "unknown benchmark 'model = 'dcgan'"),
        (lambda: ganbench.run(resume=5), "resume: expected a path, got int"),
        (start(plugins=None), "plugins: expected Python files or names of modules, got None"),
        (start(plugins=[5]), "plugins: expected Python files or names of modules, got [5]"),
        (start(track={"name": "wandb"}), "track: expected names of trackers, or TOML tables as text such as '{name"),
        (start(track=[{"name": "wandb"}]), "track: expected names of trackers, or TOML tables as text such as '{name"),
        (start(device=None), "--device None: choose auto, cpu"),
        (start(verify_engine=2.5), "verify_engine: expected an integer, got 2.5"),
        (start(verify_engine=0), "verify_engine: must be at least 1, got 0"),
        (start(window_seconds="long"), "window_seconds: expected a positive number of seconds, got 'long'"),
        (start(window_seconds=0), "window_seconds: expected a positive number of seconds, got 0"),
        (lambda: ganbench.load(5), "directory: expected a path, got int"),
        (lambda: ganbench.load("full", plugins=5), "plugins: expected Python files or names of modules, got 5"),
        (lambda: ganbench.load_result(5), "load_result: expected a path, got int"),
        (lambda: ganbench.load_spec("dcgan-fashion", plugins=5), "plugins: expected Python files or names of modules"),
        (
            lambda: ganbench.compare(["a", "b"]),
            "compare: expected runs, results, run directories or result.json files, as",
        ),
    ],
)
def test_an_argument_of_another_type_is_named(call: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "checkpoint.pt").touch()
    with pytest.raises(ganbench.UsageError, match=re.escape(message)):
        call()


def test_a_directory_that_is_no_run_and_a_run_without_result_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ganbench.UsageError, match=r"\.: not a run directory .* pass the directory of a run"):
        ganbench.load(".")
    (tmp_path / "spec.toml").touch()  # as if the run had been killed
    killed = ganbench.load(".")
    assert repr(killed) == "<Run in .: no result.json>"
    with pytest.raises(
        ganbench.MissingError, match="killed or is still running; if it was killed, resume it with --resume"
    ):
        killed.result.scores  # noqa: B018


def test_the_history_is_a_data_frame_if_pandas_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    result = quick().result
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ganbench.MissingError, match="pip install pandas"):
        result.history_frame()


def test_two_runs_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = quick(out="a", seed=1), quick(out="b", seed=2)
    compared = ganbench.compare(first, "b")
    assert compared.names == ("a", "b")
    assert compared.to_dict()["differences"]["spec"] == {"training.seed": (1, 2)}
    assert str(compared) == str(ganbench.compare("a", second))
    assert run_command("compare", "a", "b", columns=120).stdout.split() == str(compared).split()
