"""Trackers run in processes of their own: they receive everything, and nothing that they do affects the run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import fake_tracker
import pytest
from command_line import run_command
from conftest import UNSCORED
from reproducible import reproducible
from run_spec import run

from ganbench import Callback, Progress, Registry, Result, TrackerContext, UsageError, load_result
from ganbench.errors import ExitCode, GanbenchWarning, MissingError
from ganbench.plugin.callbacks import TrackedRun
from ganbench.reporting.trackers import fan_out, process
from ganbench.reporting.trackers.fan_out import read_tracked_runs
from ganbench.reporting.trackers.process import TrackerProcess
from ganbench.spec.launch import read_launch
from ganbench.spec.loading import load_spec
from ganbench.spec.trackers import choose_trackers, config_file

FAKE = str(Path(fake_tracker.__file__))
OVERRIDES = [*UNSCORED, "training.batch_size=25", "training.steps=4", "sample_images.real=0"]
FID = 'metrics=[{name="fid",features="fashion-cnn",num_samples=100}]'
RUN = ["run", "dcgan-fashion", "--device", "cpu", "-p", FAKE, *(word for each in OVERRIDES for word in ("-o", each))]


def ganbench(*arguments: str | Path) -> str:
    outcome = run_command(*arguments, columns=300)
    assert outcome.exit_code == ExitCode.DONE, outcome.output
    return outcome.output


def received(directory: Path) -> list[dict[str, Any]]:
    file = directory / "received.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def tracked_run(out: Path, *trackers: str, callback: Callback | None = None) -> Result:
    """Train with trackers. Windows are as short as possible, so that there are several."""
    registry = Registry.load([FAKE])
    spec = load_spec("dcgan-fashion", registry, OVERRIDES)
    chosen = choose_trackers(trackers, spec.name, registry)
    return run(spec, device="cpu", out=out, trackers=chosen, callback=callback, window_seconds=1e-9)[0]


def trained_as(result: Result) -> Any:
    """Return what no tracker may change."""
    return reproducible(result), [window.images for window in result.throughput.windows]


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained_as(tracked_run(tmp_path_factory.mktemp("untracked") / "run"))


def test_a_tracker_receives_everything_and_what_it_prints_stays_with_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ganbench(*RUN, "-o", FID, "--out", "run", "--track", '{name = "fake", at = "on_window_end", does = "disturb"}')
    result = load_result(tmp_path / "run")
    entries = received(tmp_path / "run")
    events = [entry["event"] for entry in entries]
    assert events[:2] == ["build", "on_run_start"]
    assert events[-1] == "on_run_end"
    counts = Counter(events)
    assert counts["on_window_end"] == len(result.throughput.windows)
    assert counts["on_epoch_end"] == len(result.history)
    assert counts["on_score"] == len(result.metrics[0].curve)
    (samples,) = (entry for entry in entries if entry["event"] == "on_sample_images")
    assert samples["images"] == 100
    assert Path(samples["path"]) == tmp_path / "run" / "samples" / "step-000004.png"
    log = (tmp_path / "run" / "trackers" / "fake.log").read_text()
    assert "hello from the tracker" in log
    assert "hello from its child" in log
    assert "hello" not in "".join(capfd.readouterr())
    assert read_tracked_runs(tmp_path / "run") == {"fake": TrackedRun("7", fake_tracker.URL)}


def test_a_resumed_run_goes_on_in_the_same_trackers(tmp_path: Path) -> None:
    printed = ganbench(*RUN, "--out", "run", "--track", "fake")
    assert f"tracker fake: 7, {fake_tracker.URL}" in printed
    ganbench("run", "--resume", "run", "--steps", "6")
    entries = received(tmp_path / "run")
    first, second = (entry["context"] for entry in entries if entry["event"] == "build")
    run_id = load_result(tmp_path / "run").run_id
    assert first == {"directory": str(tmp_path / "run"), "run_id": run_id, "tracked_run": None}
    assert second == {**first, "tracked_run": {"id": "7", "url": fake_tracker.URL}}
    assert [entry["images"] for entry in entries if entry["event"] == "on_run_start"] == [0, 100]


def test_a_tracker_that_raises_is_named_and_changes_nothing(untracked: Any, tmp_path: Path) -> None:
    reason = "the tracker 'fake' failed, .*: in on_window_end: RuntimeError: the server is down. What it printed is in"
    with pytest.warns(GanbenchWarning, match=reason) as warned:
        result = tracked_run(tmp_path / "run", '{name = "fake", at = "on_window_end"}')
    assert len(warned) == 1
    assert trained_as(result) == untracked


class EndWhenReceived(Callback):
    """Ends the run when the tracker has received an event."""

    def __init__(self, directory: Path, event: str) -> None:
        self.directory, self.event = directory, event

    def on_run_end(self, result: Result) -> None:
        while self.event not in [entry["event"] for entry in received(self.directory)]:
            sleep(0.02)


def test_a_tracker_that_blocks_holds_nothing_up_and_is_stopped(
    untracked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "CLOSE_SECONDS", 0.1)
    callback = EndWhenReceived(tmp_path / "run", "build")
    with pytest.warns(GanbenchWarning, match=r"the tracker 'fake' was stopped, because it had not finished .* s after"):
        result = tracked_run(
            tmp_path / "run", '{name = "fake", at = "on_run_start", does = "block"}', callback=callback
        )
    assert trained_as(result) == untracked
    assert load_result(tmp_path / "run") == result
    assert [entry["event"] for entry in received(tmp_path / "run")] == ["build"]


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """`start(at, does)` starts the process of a fake tracker."""
    processes = []

    def make(at: str = "", does: str = "raise") -> TrackerProcess:
        registry = Registry.load([FAKE])
        (config,) = choose_trackers([f'{{name = "fake", at = "{at}", does = "{does}"}}'], "", registry)
        processes.append(TrackerProcess(config, TrackerContext(tmp_path), tmp_path / "trackers" / "fake.log"))
        return processes[-1]

    yield make
    for each in processes:
        each.stop()


def wait_until(condition: Callable[[], object], tracker: TrackerProcess) -> None:
    for _ in range(3000):
        tracker.exchange()
        if condition():
            return
        sleep(0.02)
    raise AssertionError("timed out")


def progress(step: int) -> Progress:
    """Return the progress of a loss with so many monitors that few events fit into a pipe."""
    return Progress(1, step, 100, {f"monitor {number}": 1.0 for number in range(2000)}, 1.0, 1.0, images=step)


def test_of_the_events_that_wait_for_a_slow_tracker_every_other_window_is_dropped_and_no_other(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MAX_WAITING", 20)
    tracker = start()
    os.kill(tracker._process.pid, signal.SIGSTOP)
    for step in range(1, 101):
        tracker.send("on_window_end", progress(step))
        if step % 25 == 0:
            tracker.send("on_status", f"after step {step}")
        assert len(tracker._waiting) <= 20
    os.kill(tracker._process.pid, signal.SIGCONT)
    tracker.send("on_run_end", None)
    wait_until(lambda: tracker.has_ended, tracker)
    entries = received(tmp_path)
    steps = [entry["images"] for entry in entries if entry["event"] == "on_window_end"]
    assert steps == sorted(steps)
    assert steps[0] == 1
    assert steps[-1] > 90
    assert len(steps) + tracker.dropped == 100
    assert Counter(entry["event"] for entry in entries)["on_status"] == 4
    assert entries[-1]["event"] == "on_run_end"
    assert tracker.failure is None


def test_a_tracker_ends_without_the_last_event_if_the_run_does(start: Any, tmp_path: Path) -> None:
    tracker = start()
    tracker.send("on_status", "warming up")
    tracker.send_no_more()
    wait_until(lambda: tracker.has_ended, tracker)
    assert [entry["event"] for entry in received(tmp_path)] == ["build", "on_status"]
    assert tracker.failure is None


@pytest.mark.parametrize(
    ("at", "does", "reason"),
    [
        ("build", "raise", "raised in build: RuntimeError: the server is down"),
        ("on_run_start", "crash", "its process ended (SIGSEGV)"),
        ("on_status", "exit", "its process ended (exit code 0)"),
    ],
)
def test_the_reason_of_a_failure_is_reported(at: str, does: str, reason: str, start: Any) -> None:
    tracker = start(at, does)
    for event in ("on_run_start", "on_status", "on_run_end"):
        tracker.send(event, None)
    wait_until(lambda: tracker.failure, tracker)
    assert tracker.failure.endswith(reason)


def test_a_tracker_that_is_killed_by_a_signal_without_a_name_is_reported(start: Any) -> None:
    tracker = start()
    os.kill(tracker._process.pid, signal.SIGRTMIN + 1)
    wait_until(lambda: tracker.failure, tracker)
    assert tracker.failure == f"its process ended (signal {signal.SIGRTMIN + 1})"


@pytest.mark.parametrize("method", ["start", "send", "close"])
def test_trackers_that_cannot_be_passed_an_event_do_not_end_the_run(
    method: str, untracked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(fan_out.Trackers, method, fail)
    with pytest.warns(GanbenchWarning, match="the trackers failed, and the run continues without them: OSError: .*Too"):
        result = tracked_run(tmp_path / "run", "fake")
    assert trained_as(result) == untracked


def test_a_run_goes_on_where_python_has_no_pipes_for_trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "set_blocking")  # Python 3.11 on Windows
    reason = "'fake' failed, .*: its process could not be started: OSError: on Windows, trackers need Python 3.12"
    with pytest.warns(GanbenchWarning, match=reason):
        assert tracked_run(tmp_path / "run", "fake").status == "completed"


def test_a_tracker_that_blocks_is_killed(start: Any, tmp_path: Path) -> None:
    tracker = start("on_status", "block")
    tracker.send("on_run_start", None)
    tracker.send("on_status", "warming up")
    wait_until(lambda: len(received(tmp_path)) == 2, tracker)
    assert not tracker.has_ended
    tracker.stop()
    assert tracker.has_ended


@pytest.mark.parametrize("in_configuration", [False, True])
def test_a_tracker_that_is_not_installed_is_refused_before_the_run(
    in_configuration: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "no_such_module").mkdir()  # a folder of that name is not the module
    monkeypatch.syspath_prepend(str(tmp_path))
    where = "--track absent"
    if in_configuration:
        where = str(config_file())
        config_file().parent.mkdir(parents=True)
        config_file().write_text('trackers = ["absent"]')
    outcome = run_command(*RUN, "--out", "run", *([] if in_configuration else ["--track", "absent"]))
    assert outcome.exit_code == ExitCode.NOT_COMPARABLE
    message = f"{where}: the tracker 'absent' requires no_such_package.module, which is not installed; run pip install"
    assert f"{message} 'ganbench[absent]'" in " ".join(outcome.output.split())
    assert not (tmp_path / "run").exists()


def test_a_recorded_tracker_that_is_not_available_is_left_out_with_a_warning() -> None:
    registry = Registry.load([FAKE])
    recorded = [{"name": "absent"}, {"name": "unknown"}, {"name": "fake", "no_option": 1}, {"name": "tensorboard"}]
    with pytest.warns(GanbenchWarning) as caught:
        chosen = choose_trackers([], "dcgan-fashion", registry, recorded)
    assert [tracker.name for tracker in chosen] == ["tensorboard"]
    absent, unknown, fake = (str(warning.message) for warning in caught)
    assert absent.startswith("--resume: the tracker 'absent' requires no_such_package.module, which is not installed")
    assert "unknown tracker 'unknown'" in unknown
    assert "no_option" in fake
    with pytest.raises(MissingError, match="--track absent: the tracker 'absent' requires no_such_package"):
        choose_trackers(["absent"], "dcgan-fashion", registry, recorded[:1])


def test_a_run_is_resumed_without_the_file_of_its_tracker() -> None:
    file = Path(shutil.copy(FAKE, "tracker.py"))
    arguments = [str(file) if each == FAKE else each for each in RUN]
    ganbench(*arguments, "--track", "fake", "--out", "run")
    file.unlink()
    shown = ganbench("run", "--resume", "run", "--steps", "5")
    assert f"-p {file.resolve()}: no such file; continuing without this plugin of the run" in shown
    assert "unknown tracker 'fake'" in shown
    assert load_result("run").status == "completed"
    shutil.copy(FAKE, file)  # from now on, it is used again
    assert "tracker fake: " in ganbench("run", "--resume", "run", "--steps", "6")
    assert [tracker["name"] for tracker in read_launch(Path("run")).trackers] == ["fake"]


def test_an_option_given_later_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    config_file().parent.mkdir(parents=True)
    table = '{name = "fake", at = "build", does = "block"}'
    config_file().write_text(f"trackers = [{table}]", encoding="utf-8-sig")  # as some editors on Windows write it
    registry = Registry.load([FAKE])
    recorded = [{"name": "fake", "does": "exit"}]

    def options(*given: str, resumed: bool = False) -> tuple[str, str]:
        (tracker,) = choose_trackers(given, "dcgan-fashion", registry, recorded if resumed else [])
        return tracker.options.at, tracker.options.does  # type: ignore[attr-defined]

    assert options() == options("fake") == ("build", "block")
    assert options(resumed=True) == ("build", "exit")
    assert options('{name = "fake", does = "crash"}', resumed=True) == ("build", "crash")


@pytest.mark.parametrize("address", ["https://me:secret@host", "mysql+pymysql://me:secret@host/runs", "//secret@host"])
@pytest.mark.parametrize(
    ("name", "option", "advice"),
    [("fake", "at", "at: where it misbehaves"), ("mlflow", "tracking_uri", "$MLFLOW_TRACKING_PASSWORD")],
)
def test_a_password_is_refused_because_options_are_stored(
    name: str, option: str, advice: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    registry, table = Registry.load([FAKE]), f'{{name = "{name}", {option} = "{address}"}}'
    config_file().parent.mkdir(parents=True)
    for given, configured, place in (
        ([table], "trackers = []", "--track "),
        ([], f"trackers = [{table}]", str(config_file())),
    ):
        config_file().write_text(configured)
        with pytest.raises(UsageError, match=f"{option} contains a user or a password, which would be stored") as error:
            choose_trackers(given, "", registry)
        assert advice in str(error.value)
        assert str(error.value).startswith(place)
        assert "secret" not in str(error.value)


def test_an_at_sign_in_a_path_is_no_password() -> None:
    table = '{name = "fake", at = "sqlite:///me@lab.db"}'
    (tracker,) = choose_trackers([table], "", Registry.load([FAKE]))
    assert tracker.name == "fake"


def test_an_address_without_a_password_is_accepted() -> None:
    (tracker,) = choose_trackers(['{name = "fake", at = "https://host:5000/@team"}'], "", Registry.load([FAKE]))
    assert tracker.options.at == "https://host:5000/@team"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('{name = "fake", att = "build"}', "unknown key; did you mean 'at'?"),
        ("{name = fake}", "not a TOML table"),
        ('{at = "build"}', "the table has no name"),
    ],
)
def test_a_wrong_table_is_refused(given: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        choose_trackers([given], "dcgan-fashion", Registry.load([FAKE]))
    assert str(raised.value).startswith(f"--track {given}: ")
    assert message in str(raised.value)
