"""`ganbench calibrate`: measure identical code, and use the result in a check."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_command
from stand_in import FAST

from ganbench.errors import ExitCode
from ganbench.gate.calibration import Calibration
from ganbench.gate.decision.looks import Look


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command(arguments[0], "dcgan-fashion", "-p", "own_loss.py", *arguments[1:])
    return outcome.exit_code, " ".join(outcome.output.split())


def calibration(log_ratios: list[float]) -> Calibration:
    return Calibration(fingerprint={}, measured_at=datetime.now(UTC), log_ratios=log_ratios)


def test_a_quiet_machine_has_the_minimum_noise_floor() -> None:
    quiet = calibration([0.001, -0.001, 0.0005, -0.0005])
    assert quiet.noise_floor == 0.01
    assert quiet.minimum_detectable_effect(0.05, Look(4)) == pytest.approx(0.05)


def test_a_bias_between_identical_sides_raises_the_noise_floor() -> None:
    draw = np.random.default_rng(0)
    biased = calibration(list(draw.normal(math.log(1.03), 0.01, 16)))
    assert 0.03 < biased.noise_floor < 0.04
    assert calibration([-ratio for ratio in biased.log_ratios]).noise_floor == pytest.approx(biased.noise_floor)


def test_a_check_takes_the_noise_floor_of_its_conditions(commit: Any) -> None:
    commit(FAST)
    commit(FAST.replace("1000", "930"))  # 7.5% more time
    against = ("--against", "HEAD~1", "--no-smoke", "--strict")
    assert invoke("check", *against)[0] == ExitCode.REGRESSION
    code, text = invoke("calibrate", "--blocks", "4", "--seed", "1")
    assert code == ExitCode.DONE
    assert "noise floor 1.00%" in text.replace("│ ", "")
    assert "minimum detectable effect (50% power), 2 blocks" in text
    (file,) = (Path(text.split("stored in ")[1])).parent.glob("*.json")
    stored = json.loads(file.read_text())
    file.write_text(json.dumps({**stored, "log_ratios": [0.1, 0.101, 0.099, 0.1]}))
    assert invoke("check", *against)[0] == ExitCode.INCONCLUSIVE  # beyond the margin, but so is identical code
    assert invoke("check", *against, "--windows", "3")[0] == ExitCode.REGRESSION  # no calibration for these windows


def test_an_unreadable_calibration_is_an_error(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "# changed\n")
    run_command("baseline", "record", "dcgan-fashion", "-p", "own_loss.py", "--out", "baseline.json", "--no-smoke")
    text = invoke("calibrate", "--blocks", "4")[1]
    Path(text.split("stored in ")[1]).write_text("{")
    code, text = invoke("check", "--against", "HEAD~1", "--no-smoke")
    assert code == ExitCode.FAILED
    assert "unreadable; remove it, or calibrate again" in text
    code, text = invoke("check", "--baseline", "baseline.json", "--no-smoke")
    assert code == ExitCode.FAILED
    assert text.startswith("error: calibration")  # nothing was measured


def test_a_calibration_that_cannot_be_stored_is_shown_before_the_error(
    commit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(FAST)

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ganbench.gate.calibration.write_text", fail)
    code, text = invoke("calibrate", "--blocks", "4")
    assert code == ExitCode.FAILED
    assert re.search(r"noise floor.*error: cannot write .*json: Permission denied; choose another folder", text)
    assert "stored in" not in text


def test_a_state_folder_without_access_has_no_calibration(
    commit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(FAST)
    commit(FAST + "# changed\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("x" * 300)))  # another error than a missing file
    assert invoke("check", "--against", "HEAD~1", "--no-smoke")[0] == ExitCode.DONE
