"""`ganbench check --against`: compare a revision with the working tree, from a git repository to an exit code.

The sessions are fake (`stand_in.py`), except in the tests of real sessions.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from command_line import run_command
from conftest import SMALL
from junitparser import JUnitXml
from stand_in import FAST, SLOW

import ganbench.gate.side
from ganbench.errors import ExitCode, MissingError
from ganbench.gate.check import Check, Measurements
from ganbench.gate.decision.verdict import Finding, Verdict
from ganbench.gate.outputs import github_annotations
from ganbench.gate.session import Session, measure_alone, measure_pair
from ganbench.gate.side import SessionConfig, Side


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command("check", "dcgan-fashion", *arguments)
    return outcome.exit_code, " ".join(outcome.output.split())


AGAINST = ("-p", "own_loss.py", "--against", "HEAD~1")


def test_a_commit_that_slows_its_plugin_fails_and_the_phase_is_named(commit: Any) -> None:
    commit(FAST)
    repository = commit(SLOW)
    code, text = invoke(*AGAINST)
    assert code == ExitCode.REGRESSION
    assert "REGRESSED: time per image is worse by 25." in text
    assert "most of the slowdown is in the generator phase" in text
    assert not list(repository.parent.glob("ganbench-revision-*"))
    assert subprocess.run(["git", "worktree", "list"], capture_output=True, text=True).stdout.count("\n") == 1


def test_a_speedup_passes_with_the_minimum_detectable_effect(commit: Any) -> None:
    commit(SLOW)
    commit(FAST)
    code, text = invoke(*AGAINST)
    assert code == ExitCode.DONE
    assert "PASS: time per image is better by 20." in text
    assert "minimum detectable effect (50% power): 5.0%" in text


def test_uncommitted_changes_are_under_test(commit: Any) -> None:
    repository = commit(FAST)
    (repository / "own_loss.py").write_text(SLOW)
    assert invoke("-p", "own_loss.py", "--against", "HEAD")[0] == ExitCode.REGRESSION


@pytest.mark.parametrize("how", ["module", "absolute path", "from a folder"])
def test_the_revision_imports_its_own_code(how: str, commit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(FAST)
    repository = commit(SLOW)
    plugin = str(repository / "own_loss.py")
    if how == "module":
        monkeypatch.syspath_prepend(str(repository))  # as an editable install does
        plugin = "own_loss"
    elif how == "from a folder":
        (repository / "folder").mkdir()  # which the revision does not have
        monkeypatch.chdir(repository / "folder")
        plugin = "../own_loss.py"
    assert invoke("-p", plugin, "--against", "HEAD~1")[0] == ExitCode.REGRESSION


def test_noise_is_inconclusive_and_fails_only_with_strict(commit: Any) -> None:
    commit(FAST + "NOISE = 0.5\n")
    commit(FAST + "NOISE = 0.5\n# another text\n")
    code, text = invoke(*AGAINST, "--seed", "1")
    assert code == ExitCode.DONE
    assert "INCONCLUSIVE: the data neither show nor exclude a regression" in text
    assert text.count("block 8 of at most 8") == 2  # both pairs of the last block
    assert invoke(*AGAINST, "--seed", "1", "--strict")[0] == ExitCode.INCONCLUSIVE


def test_a_smoke_run_is_repeated_only_if_the_sides_differ(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "# another text\n")
    code, text = invoke(*AGAINST, "--no-speed")
    assert (code, text.count("smoke run")) == (ExitCode.DONE, 2)
    assert "PASS: training results agree for the same seed" in text
    commit(FAST + "LOSS = 1.5\n")
    code, text = invoke(*AGAINST, "--no-speed")
    assert (code, text.count("smoke run")) == (ExitCode.DONE, 3)  # base repeats itself exactly
    assert "d_loss is 1.5, outside 0.99 to 1.01" in text


def test_a_plugin_that_trains_only_once_in_a_process_gets_fresh_ones_for_the_smoke_run(commit: Any) -> None:
    commit(FAST + "ONCE = True\n")
    commit(FAST + "ONCE = True\n# another text\n")
    code, text = invoke(*AGAINST, "--no-speed")
    assert (code, text.count("smoke run")) == (ExitCode.DONE, 2)


def test_sessions_can_run_one_at_a_time(commit: Any, tmp_path: Path) -> None:
    alone = f"""
import fcntl, sys
if sys.argv[0].endswith("stand_in.py"):  # a session
    lock = open({str(tmp_path / "lock")!r}, "w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if another one runs
"""
    commit(FAST + alone)
    commit(SLOW + alone)
    assert invoke(*AGAINST, "--sequential")[0] == ExitCode.REGRESSION
    assert invoke(*AGAINST)[0] == ExitCode.FAILED


def test_the_spec_sets_the_margin(commit: Any) -> None:
    commit(FAST)
    commit(SLOW)
    for margin in ("gate.time_percent=30", "gate={ time_percent = 30 }"):  # not passed to the sessions
        assert invoke(*AGAINST, "-o", margin)[0] == ExitCode.DONE
    code, text = invoke(*AGAINST, "-o", "gate.time_percent=-1")
    assert code == ExitCode.USAGE
    assert "gate.time_percent: must be greater than 0" in text


def test_a_change_of_the_clock_is_shown(commit: Any) -> None:
    commit(FAST + "CLOCK = 1980\n")
    commit(SLOW + "CLOCK = 1410\n")
    assert "GPU clock, MHz │ 1,980 │ 1,410" in invoke(*AGAINST)[1]


def test_memory_is_gated_too(commit: Any) -> None:
    commit(FAST)
    commit(f"{FAST}PEAK = {2**30 + 2**26}\n")
    code, text = invoke(*AGAINST)
    assert code == ExitCode.REGRESSION
    assert "REGRESSED: peak memory: base needs up to 1,024 MiB, head at least 1,088 MiB" in text


def test_a_crash_is_not_a_slowdown(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "CRASH = True\n")
    code, text = invoke(*AGAINST)
    assert code == ExitCode.FAILED
    assert "a session of the working tree failed with exit code 1" in text
    assert "the plugin crashed" in text


ENDS_LATER = """
import json, os, signal, sys, time
if sys.argv[0].endswith("stand_in.py") and json.loads(sys.argv[1])["training"].get("seed") == 54:  # of head's scores
    {}
"""
CRASHES_LATER = ENDS_LATER.format('sys.exit("the plugin crashed")')
INTERRUPTED_LATER = ENDS_LATER.format("os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)")


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize(
    ("text", "verdict", "why", "code"),
    [
        (FAST + CRASHES_LATER, "PASS", "of an error: a session of", ExitCode.FAILED),
        (SLOW + CRASHES_LATER, "REGRESSED", "of an error: a session of", ExitCode.REGRESSION),
        (SLOW + INTERRUPTED_LATER, "REGRESSED", "the check was interrupted", ExitCode.INTERRUPTED),
    ],
)
def test_what_was_complete_before_a_failure_is_reported(
    text: str, verdict: str, why: str, code: int, baseline: bool, commit: Any
) -> None:
    repository = commit(FAST)
    common = ("-p", "own_loss.py", "--quality")
    against = ("--against", "HEAD")
    if baseline:
        recorded = run_command("baseline", "record", "dcgan-fashion", *common, "--out", "baseline.json")
        assert recorded.exit_code == ExitCode.DONE
        against = ("--baseline", "baseline.json")
    (repository / "own_loss.py").write_text(text)
    outputs = ("--junit", "junit.xml", "--summary", "summary.md", "--json")
    outcome = run_command("check", "dcgan-fashion", *common, *against, *outputs)
    assert f"{verdict}: time per image" in outcome.stderr
    assert f"INCONCLUSIVE: scores not checked, because {why}" in outcome.stderr
    assert ("the plugin crashed" in outcome.stderr) == ("crashed" in text)  # the log of the session
    assert outcome.exit_code == code
    (report,) = json.loads(outcome.stdout)["checks"]
    assert list(report["quantities"]) == ["throughput", "memory", "smoke", "incomplete"]
    (suite,) = JUnitXml.fromfile("junit.xml")
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (4, int(verdict == "REGRESSED"), 0, 1)
    assert "scores not checked" in Path("summary.md").read_text(encoding="utf-8")


def test_ctrl_c_ends_the_check_and_its_sessions(commit: Any, tmp_path: Path) -> None:
    commit(FAST)
    commit(SLOW)
    forever = tmp_path / "forever.py"
    forever.write_text("import os, pathlib, time\npathlib.Path(__file__).with_name(f'{os.getpid()}.pid').touch()\n")
    forever.open("a").write("time.sleep(600)\n")
    start = f"import ganbench.gate.side, ganbench.cli; ganbench.gate.side.WORKER = {str(forever)!r}; ganbench.cli.app()"
    arguments = ["check", "dcgan-fashion", *AGAINST, "--no-smoke"]
    with subprocess.Popen([sys.executable, "-c", start, *arguments], stderr=subprocess.PIPE, text=True) as check:
        while len(started := list(tmp_path.glob("*.pid"))) < 2:
            assert check.poll() is None
            time.sleep(0.01)
        check.send_signal(signal.SIGINT)
        assert check.communicate(timeout=30)[1] == "interrupted\n"
    assert check.returncode == ExitCode.INTERRUPTED
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.stem), 0)
    assert subprocess.run(["git", "worktree", "list"], capture_output=True, text=True).stdout.count("\n") == 1


def test_different_conditions_are_not_compared(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "BATCH = 32\n")
    code, text = invoke(*AGAINST)
    assert code == ExitCode.NOT_COMPARABLE
    assert "batch_size: 64, 32" in text


def test_the_session_order_comes_from_a_recorded_seed(commit: Any) -> None:
    commit(FAST)
    commit(SLOW)
    orders = []
    for _ in range(2):
        outcome = run_command("check", "dcgan-fashion", *AGAINST, "--seed", "7", "--json")
        (report,) = json.loads(outcome.stdout)["checks"]
        assert report["order_seed"] == 7
        orders.append([line.split(",")[1].split(":")[0] for line in outcome.stderr.splitlines() if "block" in line])
        assert set(orders[-1]) == {" AB", " BA"}
    assert orders[0] == orders[1]
    assert [len(report["sessions"][side]) for side in ("base", "head")] == [4, 4]


def test_all_outputs_agree(commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(FAST + 'TORCH = "2.11"\nNOISE = 1e-6\n')
    commit(SLOW + "NOISE = 1e-6\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    code, text = invoke(*AGAINST, "--junit", "junit.xml", "--summary", "summary.md")
    assert code == ExitCode.REGRESSION
    assert "::error title=ganbench check dcgan-fashion::time per image is worse by 25." in text
    assert "torch" in text
    (suite,) = JUnitXml.fromfile("junit.xml")
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (3, 1, 0, 0)
    results = {case.name: case.result for case in suite}
    assert list(results) == ["throughput", "memory", "smoke"]
    assert "time per image is worse by" in results["throughput"][0].message
    assert not results["memory"]
    summary = Path("summary.md").read_text()
    assert "❌ regressed" in summary
    assert "| generator | 500.0 | 750.0 |" in summary
    assert (tmp_path / "step.md").read_text().splitlines()[0] == summary.splitlines()[0]


def test_an_output_that_cannot_be_written_changes_no_verdict(
    commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(FAST)
    commit(SLOW)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "gone" / "step.md"))
    monkeypatch.setattr("ganbench.gate.outputs.write_text", Mock(side_effect=OSError(28, "No space left on device")))
    code, text = invoke(*AGAINST, "--junit", "junit.xml", "--summary", "summary.md")
    assert code == ExitCode.REGRESSION
    assert "warning: writing junit.xml failed: OSError: [Errno 28] No space left on device" in text
    assert "warning: writing the summary of the GitHub job failed: FileNotFoundError" in text
    assert "❌ regressed" in Path("summary.md").read_text()


def test_a_check_without_a_verdict_leaves_no_earlier_one(commit: Any) -> None:
    commit(FAST)
    for name in ("junit.xml", "summary.md"):
        Path(name).write_text("pass")
    Path("link").symlink_to("README")
    Path("README").write_text("kept")
    outputs = ("--junit", "junit.xml", "--summary", "summary.md")
    assert invoke("-p", "own_loss.py", "--against", "nowhere", *outputs)[0] == ExitCode.USAGE
    assert not Path("junit.xml").exists()
    assert not Path("summary.md").exists()
    assert invoke("-p", "own_loss.py", "--against", "nowhere", "--summary", "link")[0] == ExitCode.USAGE
    assert Path("link").read_text() == "kept"


def test_the_self_test_annotates_no_build(commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(FAST)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    code, text = invoke("-p", "own_loss.py", "--self-test", "--seed", "1")
    assert code == ExitCode.DONE
    assert "REGRESSED: time per image" in text
    assert "::error" not in text
    assert not (tmp_path / "step.md").exists()


def test_the_self_test_slows_every_update_of_a_step_with_several(commit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(FAST + "DISCRIMINATOR_STEPS = 5\n")
    code, text = invoke("-p", "own_loss.py", "--self-test", "--seed", "1")
    assert code == ExitCode.DONE
    assert "time per image is worse by 10." in text


def test_annotations_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    finding = Finding(Verdict.WARNING, ("", ""), "50%: a, b\nc")
    check = Check("my:own,50%.toml", ("base", "head"), Measurements(), {"smoke": finding})
    assert github_annotations([check]) == ["::warning title=ganbench check my%3Aown%2C50%25.toml::50%25: a, b%0Ac"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--against", "nowhere"], ExitCode.USAGE, "--against nowhere: no such revision"),
        (
            [],
            ExitCode.USAGE,
            "check needs exactly one of --against REF, --against-python PATH, --baseline FILE, --self-test; got none",
        ),
        (["--against", "HEAD", "--against-python", "x"], ExitCode.USAGE, "got --against and --against-python"),
        (["--against-python", "no/python"], ExitCode.USAGE, "no/python: file not found"),
        (
            ["--against", "HEAD", "--junit", "no/x.xml"],
            ExitCode.USAGE,
            "no/x.xml: folder no does not exist",
        ),
        (["--against", "HEAD", "--summary", ".git"], ExitCode.USAGE, ".git: this is a folder; give the name of a file"),
        (["--against", "HEAD", "--no-speed", "--no-smoke"], ExitCode.USAGE, "nothing to check"),
        (["--self-test", "--summary", "x.md"], ExitCode.USAGE, "--self-test checks the gate, not a build"),
        (
            ["--self-test", "--no-speed"],
            ExitCode.USAGE,
            "--speed/--no-speed has no effect with --self-test: leave it out",
        ),
        (["--against", "HEAD", "--sessions", "4"], ExitCode.USAGE, "--sessions has no effect with --against"),
        (["--baseline", "x.json", "--blocks", "4"], ExitCode.USAGE, "--blocks has no effect with --baseline"),
        (
            ["--against", "HEAD", "--no-speed", "--blocks", "9"],
            ExitCode.USAGE,
            "--blocks has no effect with --no-speed",
        ),
        (
            ["--baseline", "x", "--no-speed", "--windows", "9"],
            ExitCode.USAGE,
            "--windows has no effect with --no-speed",
        ),
        (
            ["--against", "HEAD", "--window-seconds", "inf"],
            ExitCode.USAGE,
            "--window-seconds inf: give a finite number",
        ),
        (["--against", "HEAD"], ExitCode.NOT_COMPARABLE, "nothing that this benchmark uses comes from"),
    ],
)
def test_invalid_arguments(arguments: list[str], code: int, message: str, commit: Any) -> None:
    commit(FAST)
    exit_code, text = invoke(*arguments)
    assert exit_code == code
    assert message in text


@pytest.mark.parametrize(
    "command",
    [
        ("check", "dcgan-fashion", "--against", "HEAD"),
        ("calibrate", "dcgan-fashion"),
        ("baseline", "record", "dcgan-fashion", "--out", "baseline.json"),
    ],
)
def test_windows_is_refused(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "killpg")
    outcome = run_command(*command)
    assert outcome.exit_code == ExitCode.USAGE
    assert "the gate needs Linux or macOS: on Windows, use WSL" in " ".join(outcome.output.split())


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    code, text = invoke("--against", "HEAD")
    assert code == ExitCode.USAGE
    assert "--against needs a git repository" in text


def test_a_python_that_cannot_be_started_is_not_a_slowdown(commit: Any) -> None:
    commit(FAST)
    code, text = invoke("-p", "own_loss.py", "--against-python", "own_loss.py")  # a file, but not a program
    assert code == ExitCode.FAILED
    assert "a session of own_loss.py could not be started" in text


def test_another_python_is_measured_as_the_base(commit: Any) -> None:
    commit(FAST)
    code, text = invoke("-p", "own_loss.py", "--against-python", sys.executable)
    assert code == ExitCode.DONE
    assert "PASS" in text


def test_another_python_imports_its_own_packages(commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, environment = commit(FAST), tmp_path / "environment"
    environment.mkdir()
    for folder, text in ((repository, SLOW), (environment, FAST)):
        (folder / "python_loss.py").write_text(text)
    python = environment / "python"
    imported = "${PYTHONPATH:+$PYTHONPATH:}" + str(environment)  # last, as site-packages
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{imported}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(repository), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(repository))
    assert invoke("-p", "python_loss", "--against-python", str(python))[0] == ExitCode.REGRESSION


@pytest.mark.parametrize(
    ("noise", "code", "message"),
    [
        (
            "0.0001",
            ExitCode.DONE,
            "self-test passed: unchanged code passed, and an injected slowdown of 10% was detected",
        ),
        ("0.3", ExitCode.INCONCLUSIVE, "self-test inconclusive: this machine is too noisy"),
    ],
)
def test_the_self_test(noise: str, code: int, message: str, commit: Any) -> None:
    commit(f"{FAST}NOISE = {noise}\n")
    exit_code, text = invoke("-p", "own_loss.py", "--self-test", "--seed", "1", "--strict")
    assert message in text
    assert exit_code == code


def test_a_gate_that_detects_nothing_fails_its_self_test(commit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(FAST)
    worker = Path(ganbench.gate.side.WORKER)
    worker.write_text(worker.read_text().replace('if request["delay"]:', "if False:"))
    code, text = invoke("-p", "own_loss.py", "--self-test")
    assert code == ExitCode.FAILED
    assert "self-test failed: an injected slowdown of 10% was not detected" in text


SHORT = SessionConfig(
    "dcgan-fashion",
    # sessions ignore the benchmark's own length and metrics
    [*SMALL, "model.width=1", "training.batch_size=500", "training.budget_seconds=0.01"],
    device="cpu",
    windows=2,
    window_seconds=0.01,
)


@pytest.mark.slow
def test_real_interleaved_sessions_warm_up_and_time_their_windows() -> None:
    sessions = measure_pair(Side("base"), Side("head"), SHORT)
    assert sessions[0].warmup_windows == sessions[1].warmup_windows
    for session in sessions:
        assert isinstance(session, Session)
        assert len(session.images_per_second) == len(session.gpu) == 2
        assert 3 <= session.warmup_windows <= 12
        assert sum(session.phases.values()) == pytest.approx(1)
        assert session.spec["training"]["batch_size"] == session.conditions["batch_size"] == 500
        assert session.peak_bytes > 2**20


def test_a_missing_benchmark_is_not_a_slowdown() -> None:
    with pytest.raises(MissingError, match="base: benchmark, plugin or option not found: unknown benchmark 'nowhere'"):
        measure_alone(Side("base"), SessionConfig("nowhere"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_check_ended_by_a_signal_cleans_up(name: str, commit: Any, tmp_path: Path) -> None:
    commit(FAST)
    commit(SLOW)
    with waiting_check(tmp_path) as check:
        check.send_signal(getattr(signal, name))
        check.send_signal(signal.SIGTERM)  # services send several within seconds
        assert check.communicate(timeout=30)[1] == "interrupted\n"
    assert check.returncode == ExitCode.INTERRUPTED
    assert_nothing_left(tmp_path)


def test_sessions_of_a_killed_check_end_and_clean_up(commit: Any, tmp_path: Path) -> None:
    commit(FAST)
    commit(SLOW)
    with waiting_check(tmp_path) as check:
        check.kill()
    end = time.monotonic() + 30
    while list((tmp_path / "tmp").iterdir()) and time.monotonic() < end:
        time.sleep(0.01)
    assert_nothing_left(tmp_path)


@contextmanager
def waiting_check(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a check whose two sessions have started and wait forever; temporary files are in `folder/tmp`."""
    (folder / "tmp").mkdir()
    worker = folder / "forever.py"
    real = Path(ganbench.gate.__file__).parent / "worker" / "main.py"
    worker.write_text(
        "import importlib.util, json, os, pathlib, sys, time\n"
        f"found = importlib.util.spec_from_file_location('worker', {str(real)!r})\n"
        "worker = importlib.util.module_from_spec(found)\n"
        "found.loader.exec_module(worker)\n"
        "worker.listen(json.loads(sys.argv[1])['temporary'])\n"
        "pathlib.Path(__file__).with_name(f'{os.getpid()}.pid').touch()\n"
        "time.sleep(600)\n"
    )
    start = f"import ganbench.gate.side, ganbench.cli; ganbench.gate.side.WORKER = {str(worker)!r}; ganbench.cli.app()"
    with subprocess.Popen(
        [sys.executable, "-c", start, "check", "dcgan-fashion", *AGAINST],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
    ) as check:
        while len(list(folder.glob("*.pid"))) < 2:
            assert check.poll() is None
            time.sleep(0.01)
        yield check


def assert_nothing_left(folder: Path) -> None:
    assert not list((folder / "tmp").iterdir())
    end = time.monotonic() + 30
    for pid in folder.glob("*.pid"):
        while is_running(int(pid.stem)) and time.monotonic() < end:
            time.sleep(0.01)
        assert not is_running(int(pid.stem))


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()  # an orphan may have no parent to reap it
    except FileNotFoundError:
        return False
