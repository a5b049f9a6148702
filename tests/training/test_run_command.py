"""`ganbench run` as a process: its output and exit codes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_command
from conftest import SMALL

from ganbench.errors import ExitCode
from ganbench.results.schema import Result, load_result

RUN = f"run dcgan-fashion {' '.join(f'-o {override}' for override in SMALL)} --out run"

CHATTY = """
from ganbench import LossPlugin, hookimpl

print("hello from the import")

class Chatty:
    def discriminator_loss(self, players, batch):
        print("hello from the loss")
        return players.discriminate(batch.real).mean(), {}

    def generator_loss(self, players, batch):
        return players.generate(batch).mean(), {}

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="chatty", summary="Prints", build=lambda options, context: Chatty())]
"""


def start(arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process with one thread and without a terminal."""
    return subprocess.Popen(
        [sys.executable, "-c", "from ganbench.cli import app; app()", *shlex.split(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=120)
    assert "Traceback" not in stderr
    return process.returncode, stdout, stderr


@pytest.mark.slow
def test_stdout_has_only_json_whatever_plugins_print(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    code, stdout, stderr = finish(start(f"{RUN} --steps 2 -p chatty.py -o loss=chatty --json"))
    assert code == ExitCode.DONE
    assert Result.model_validate_json(stdout) == load_result(tmp_path / "run")
    assert "hello from the import" in stderr
    assert "hello from the loss" in stderr
    assert "FID (fashion-cnn)" in stderr


@pytest.mark.slow
def test_a_diverged_run_exits_with_5_and_says_so(tmp_path: Path) -> None:
    rates = "-o optimizer.generator.lr=1e3 -o optimizer.discriminator.lr=1e3"
    code, stdout, _ = finish(start(f"{RUN} --steps 40 {rates} -o references=[]"))
    assert code == ExitCode.FAILED
    assert "diverged: the " in stdout
    assert load_result(tmp_path / "run").status == "diverged"
    code, stdout, _ = finish(start("compare run run"))
    assert code == ExitCode.DONE
    assert stdout.count("diverged") == 2


@pytest.mark.slow
def test_ctrl_c_stores_scores_and_exits_with_130(tmp_path: Path) -> None:
    process = start(f"{RUN} --epochs 10000")
    assert process.stdout
    while "images/s" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, stdout, _ = finish(process)
    assert code == ExitCode.INTERRUPTED
    assert "interrupted after step" in stdout
    result = load_result(tmp_path / "run")
    assert result.status == "interrupted"
    assert result.metrics[0].curve[-1].images == sum(row.images for row in result.history) > 0


def test_missing_weights_of_a_metric_exit_with_3_and_say_where_to_put_them(tmp_path: Path) -> None:
    command = f"{RUN} --steps 2 -o metrics.0.features=inception-v3 -o metrics.0.features.weights=w"
    outcome = run_command(*shlex.split(command), columns=300)
    assert outcome.exit_code == ExitCode.NOT_COMPARABLE
    assert f"weights file not found: {tmp_path / 'w'}" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not Path("run").exists()
