"""Baselines: record, show, and check against them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from stand_in import FAST, SLOW

from ganbench.errors import ExitCode


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command(*arguments)
    return outcome.exit_code, " ".join(outcome.output.split())


def invoke_raw(*arguments: str) -> str:
    return run_command(*arguments).stdout


def record(*arguments: str) -> tuple[int, str]:
    return invoke("baseline", "record", "dcgan-fashion", "-p", "own_loss.py", "--out", "baseline.json", *arguments)


def check(*arguments: str, file: str = "baseline.json") -> tuple[int, str]:
    return invoke("check", "dcgan-fashion", "-p", "own_loss.py", "--baseline", file, *arguments)


@pytest.fixture
def plugin(commit: Any) -> Any:
    """`plugin(text)` writes the plugin that sessions measure."""
    repository = commit(FAST)
    return (repository / "own_loss.py").write_text


def test_a_baseline_grows_and_is_shown(plugin: Any) -> None:
    assert record("--sessions", "3", "--no-smoke") == (ExitCode.DONE, record_lines(3) + "3 sessions in baseline.json")
    assert record("--sessions", "5")[1].endswith("8 sessions in baseline.json")
    code, text = invoke("baseline", "show", "baseline.json")
    assert code == ExitCode.DONE
    for expected in ("dcgan-fashion", "sessions", "8", "images/s", "torch", "2.14"):
        assert expected in text
    code, text = invoke("baseline", "show", "baseline.json", "--json")
    assert len(json.loads(text)["sessions"]) == 8


def record_lines(count: int) -> str:
    rates = json.loads(Path("baseline.json").read_text())["sessions"]
    return "".join(
        f"session {number}/{count}: {rates[number - 1]['images_per_second'][0]:,.1f} images/s "
        for number in range(1, count + 1)
    )


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (FAST, ExitCode.DONE, "PASS: time per image"),
        (SLOW, ExitCode.REGRESSION, "REGRESSED: time per image is worse by 25."),
        (FAST + f"PEAK = {2**31}\n", ExitCode.REGRESSION, "REGRESSED: peak memory"),
        (FAST + "BATCH = 32\n", ExitCode.NOT_COMPARABLE, "batch_size: 64, now 32"),
        (FAST + "CRASH = True\n", ExitCode.FAILED, "a session of current code failed"),
    ],
)
def test_fresh_sessions_against_eight_stored_ones(text: str, code: int, message: str, plugin: Any) -> None:
    record()
    plugin(text)
    assert_outcome(check(), code, message)


def assert_outcome(outcome: tuple[int, str], code: int, message: str) -> None:
    assert message in outcome[1]
    assert outcome[0] == code


@pytest.mark.parametrize(
    ("sessions", "more", "reason"),
    [
        ("7", "", "the baseline has 7 sessions, but gating needs 8"),
        ("8", 'TORCH = "2.15"\n', "torch 2.14 -> 2.15"),
        ("8", "DISTURBED = True\n", "4 of 4 sessions were disturbed: a neighbor"),
    ],
)
def test_an_unreliable_comparison_is_advisory(sessions: str, more: str, reason: str, plugin: Any) -> None:
    record("--sessions", sessions)
    plugin(SLOW + more)
    code, text = check("--junit", "junit.xml")
    assert code == ExitCode.DONE
    assert f"advisory only: {reason}" in text.replace("the environment differs from the baseline: ", "")
    assert "INCONCLUSIVE: time per image is worse by 25." in text
    assert "INCONCLUSIVE: there is a regression, but it is advisory only: " in text
    assert "neither show nor exclude" not in text
    assert ("check with --against-python" in text) == ("TORCH" in more)
    assert 'failures="0" skipped="1"' in Path("junit.xml").read_text()
    assert check("--strict")[0] == ExitCode.INCONCLUSIVE


def test_other_software_of_the_scores_does_not_excuse_a_slowdown(plugin: Any) -> None:
    record("--quality")
    plugin(SLOW + 'SCORER = "2"\nFID = 23.0\n')
    code, text = check("--quality")
    assert code == ExitCode.REGRESSION
    assert "REGRESSED: time per image is worse by 25." in text
    assert "advisory only: the software of the scores differs from the baseline: scorer 1 -> 2" in text


def test_a_rolling_and_a_pinned_baseline_catch_gradual_slowdowns(plugin: Any) -> None:
    record()
    Path("baseline.json").rename("pinned.json")
    plugin(FAST.replace("1000", "940"))
    record()
    plugin(FAST.replace("1000", "880"))  # 7% slower than the last, 14% than the first
    assert check()[0] == ExitCode.DONE
    code, text = check("--baseline", "pinned.json")
    assert code == ExitCode.REGRESSION
    assert "pinned.json" in text


def test_a_first_run_can_record_what_is_missing(plugin: Any) -> None:
    assert_outcome(check(), ExitCode.NOT_COMPARABLE, "or check with --missing-baseline record")
    outputs = ("--junit", "junit.xml", "--summary", "summary.md", "--strict")
    recorded = check("--missing-baseline", "record", *outputs)
    assert_outcome(recorded, ExitCode.DONE, "baseline.json not found: recording it")
    warning = "baseline.json: recorded, not checked (sessions, smoke runs); the next check will use this baseline"
    assert f"WARNING: {warning}" in recorded[1]
    assert warning in Path("junit.xml").read_text()
    assert warning in Path("summary.md").read_text()
    assert_outcome(check("--missing-baseline", "record"), ExitCode.DONE, "PASS: time per image")


def test_the_parts_that_an_interrupted_recording_has_left_out_are_recorded(plugin: Any) -> None:
    record("--sessions", "3", "--no-smoke")
    plugin(FAST + "# another text\n")  # the next commit
    outcome = check("--missing-baseline", "record", "--quality")
    assert_outcome(outcome, ExitCode.DONE, "baseline.json has no smoke runs and no scores: recording them")
    assert "PASS: time per image" in outcome[1]
    assert "WARNING: baseline.json: recorded, not checked (smoke runs, scores)" in outcome[1]
    assert len(json.loads(Path("baseline.json").read_text())["sessions"]) == 3
    assert_outcome(check("--missing-baseline", "record", "--quality"), ExitCode.DONE, "PASS: FID (tiny)")


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (FAST + "# another text\n", ExitCode.DONE, "PASS: time per image"),
        (SLOW, ExitCode.REGRESSION, "REGRESSED: time per image is worse by 25."),
        (FAST + "LOSS = 1.5\n", ExitCode.DONE, "WARNING: training results differ for the same seed"),
    ],
)
def test_the_parts_that_a_baseline_has_are_checked_when_others_are_recorded(
    text: str, code: int, message: str, plugin: Any
) -> None:
    record("--sessions", "8")
    plugin(text)
    outcome = check("--missing-baseline", "record", "--quality")
    assert "WARNING: baseline.json: recorded, not checked (scores)" in outcome[1]
    assert_outcome(outcome, code, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BATCH = 32\n", "batch_size: 64, now 32"),
        ('TORCH = "2.15"\n', "in another environment (torch 2.14 -> 2.15), so nothing can be added"),
    ],
)
def test_parts_are_only_added_to_a_baseline_of_the_same_conditions(text: str, message: str, plugin: Any) -> None:
    record("--sessions", "3", "--no-smoke")
    before = Path("baseline.json").read_text()
    plugin(FAST + text)
    assert_outcome(check("--missing-baseline", "record", "--no-speed"), ExitCode.NOT_COMPARABLE, message)
    assert Path("baseline.json").read_text() == before


def test_an_outdated_installed_copy_is_not_measured(
    commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    for folder, version in ((Path(), 0), (site, 1)):  # as a build may have written it
        (folder / "installed_loss.py").write_text(f'{FAST}\n__version__ = "{version}"\n')
    commit(FAST)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(site))
    common = ("dcgan-fashion", "-p", "installed_loss")
    commands = (
        ("baseline", "record", *common, "--out", "baseline.json", "--sessions", "2"),
        ("check", *common, "--baseline", "baseline.json", "--no-speed"),
    )
    for arguments in commands:
        assert invoke(*arguments)[0] == ExitCode.DONE
    Path("installed_loss.py").write_text(SLOW)
    for arguments in (*commands, ("check", *common, "--against-python", sys.executable)):
        message = "an outdated copy of installed_loss.py would be measured, not the working tree"
        assert_outcome(invoke(*arguments), ExitCode.NOT_COMPARABLE, message)


def test_a_spec_file_is_one_benchmark_by_any_relative_path(plugin: Any) -> None:
    Path("mine.toml").write_text(invoke_raw("show", "dcgan-fashion"), encoding="utf-8")
    arguments = ("-p", "own_loss.py", "--no-smoke")
    invoke("baseline", "record", "./mine.toml", *arguments, "--out", "baseline.json", "--sessions", "2")
    outcome = invoke("check", "mine.toml", *arguments, "--baseline", "baseline.json")
    assert_outcome(outcome, ExitCode.DONE, "PASS: time per image")


def other_benchmark(text: str) -> str:
    return text.replace('"dcgan-fashion"', '"another"')


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda text: text[: len(text) // 2], ExitCode.USAGE, "corrupt, or not a ganbench baseline"),
        (lambda _: '{"some": "json"}', ExitCode.USAGE, "corrupt, or not a ganbench baseline"),
        (
            lambda text: text.replace('"schema_version": 3', '"schema_version": 1'),
            ExitCode.USAGE,
            "written with schema 1",
        ),
        (other_benchmark, ExitCode.NOT_COMPARABLE, "recorded for benchmark another, not dcgan-fashion"),
        (lambda text: json.dumps({**json.loads(text), "sessions": []}), ExitCode.USAGE, "no sessions"),
    ],
)
def test_an_invalid_baseline(spoil: Any, code: int, message: str, plugin: Any) -> None:
    record("--sessions", "2")
    file = Path("baseline.json")
    file.write_text(spoil(file.read_text()))
    assert_outcome(check(), code, message)


def test_one_session_is_too_few(plugin: Any) -> None:
    record("--sessions", "1")
    assert_outcome(check(), ExitCode.NOT_COMPARABLE, "estimating variability needs at least two sessions")


@pytest.mark.parametrize("other", [("--windows", "3"), ("--window-seconds", "1")])
def test_sessions_of_other_windows_are_not_comparable(other: tuple[str, str], plugin: Any) -> None:
    record("--sessions", "2")
    for outcome in (check(*other), record(*other)):
        assert_outcome(
            outcome, ExitCode.NOT_COMPARABLE, "give --windows 10 --window-seconds 0.25, or record another baseline"
        )
    record("--sessions", "2", *other, "--out", "other.json")
    assert check("--no-speed", file="other.json")[0] == ExitCode.DONE


def test_sessions_of_other_code_are_not_added(plugin: Any) -> None:
    record("--sessions", "2")
    plugin(SLOW)
    assert_outcome(record(), ExitCode.NOT_COMPARABLE, "recorded with other code of own_loss.py, so no sessions")
    assert len(json.loads(Path("baseline.json").read_text())["sessions"]) == 2


def test_sessions_under_other_conditions_are_not_added(plugin: Any) -> None:
    record("--sessions", "2")
    plugin(FAST + "BATCH = 32\n")
    assert_outcome(record(), ExitCode.NOT_COMPARABLE, "batch_size: 64, now 32")
    assert len(json.loads(Path("baseline.json").read_text())["sessions"]) == 2


def test_what_was_measured_before_a_failure_is_recorded(plugin: Any) -> None:
    plugin(FAST + "DIVERGED = [0]\n")  # the seed of smoke runs here
    assert record("--sessions", "3")[0] == ExitCode.FAILED
    assert len(json.loads(Path("baseline.json").read_text())["sessions"]) == 3


def test_a_folder_that_cannot_be_written_to_is_found_before_measuring(
    plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    code, text = record()
    assert code == ExitCode.USAGE
    assert "baseline.json: folder . cannot be written to" in text
    assert "session" not in text


def test_a_baseline_in_a_folder_that_cannot_be_written_to_is_checked_but_not_extended(
    plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("--sessions", "3")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert check("--missing-baseline", "record")[0] == ExitCode.DONE
    for code, text in (record(), check("--missing-baseline", "record", "--quality")):
        assert code == ExitCode.USAGE
        assert "baseline.json: folder . cannot be written to" in text
        assert "session 1" not in text


def test_smoke_runs_of_another_seed_are_not_compared(plugin: Any) -> None:
    record("--sessions", "3")
    code, text = check("-o", "training.seed=1", "--no-speed")
    assert code == ExitCode.NOT_COMPARABLE
    assert "losses are not comparable: training.seed: 0, now 1" in text


def test_scores_are_not_compared_if_a_seed_is_on_both_sides(plugin: Any) -> None:
    record("--sessions", "3", "--quality")
    code, text = check("-o", "training.seed=37", "--no-speed", "--no-smoke", "--quality")  # trains seeds 47 to 51
    assert code == ExitCode.NOT_COMPARABLE
    assert "trained with seeds that this check would use again, such as 47" in text


def test_sessions_of_another_environment_are_not_added(plugin: Any) -> None:
    record("--sessions", "2")
    plugin(FAST + 'TORCH = "2.15"\n')
    assert_outcome(record(), ExitCode.NOT_COMPARABLE, "in another environment (torch 2.14 -> 2.15), so nothing")


def test_a_pass_against_disturbed_sessions_is_only_a_warning(plugin: Any) -> None:
    plugin(FAST + "DISTURBED = True\n")
    assert "12 of 12 sessions were disturbed, which hides regressions" in record()[1]
    assert "disturbed sessions │ 12, which hides regressions" in invoke("baseline", "show", "baseline.json")[1]
    plugin(FAST)
    code, text = check()
    assert code == ExitCode.DONE
    assert "WARNING: time per image" in text
    assert "12 of the baseline's 12 sessions were disturbed, so a regression may be hidden: a neighbor" in text
