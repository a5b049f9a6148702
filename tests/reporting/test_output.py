"""Output that cannot be written, or that others write to, does not affect a command."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any, TextIO, cast

import numpy as np
import pytest
from command_line import run_command
from conftest import SMALL

from ganbench.cli import app
from ganbench.errors import ExitCode
from ganbench.results.schema import load_result
from ganbench.system.streams import SafeStream

SCORED = ["run", "dcgan-fashion", *(argument for override in SMALL for argument in ("-o", override)), "--steps", "1"]
GAME = ["run", "softmax-bandit", "--steps", "2", "-o", "metrics=[]", "--device", "cpu", "--out", "run"]


def ganbench(arguments: list[str], redirection: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell does, with a redirection such as `>&-`."""
    command = [sys.executable, "-m", "ganbench", *arguments]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        capture_output=True,
        encoding=more.get("PYTHONIOENCODING", "utf-8"),
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **more},
    )


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize("arguments", [["list", "--json"], ["plugins"], ["show", "dcgan-fashion"], ["--help"]])
def test_a_command_that_only_prints_fails_if_it_cannot(arguments: list[str], redirection: str) -> None:
    ended = ganbench(arguments, redirection)
    assert ended.returncode == ExitCode.FAILED
    reason = "stream is closed" if redirection == ">&-" else "No space left on device"
    assert ended.stderr == f"error: cannot write to standard output: {reason}\n"


@pytest.mark.parametrize("output", [["--json"], ["--json", "--out", "kept.json"], []])
def test_scores_that_cannot_be_printed_are_a_failure(
    output: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    np.save("x.npy", np.arange(20 * 16, dtype=np.uint8).reshape(20, 1, 4, 4))
    command = "eval x.npy --against x.npy --metrics precision-recall --features raw --device cpu"
    monkeypatch.setattr("sys.stdout", Broken(OSError(28, "No space left on device")))
    with pytest.raises(SystemExit) as ended:
        app([*command.split(), *output])
    monkeypatch.undo()
    assert ended.value.code == ExitCode.FAILED
    assert "cannot write to standard output: No space left on device" in capfd.readouterr().err
    assert (tmp_path / "kept.json").exists() == ("--out" in output)


def test_a_reader_that_closes_the_pipe_is_no_error() -> None:
    ended = ganbench(["list", "--json"], "| head -c 1")
    assert (ended.stdout, ended.stderr) == ("[", "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&-"])
def test_an_error_that_cannot_be_printed_keeps_its_exit_code(redirection: str) -> None:
    ended = ganbench(["show", "nonsense"], redirection)
    assert ended.returncode == ExitCode.USAGE
    assert ended.stdout == ended.stderr == ""


@pytest.mark.parametrize(("stdout", "stderr"), [(None, None), ("full", "full"), (None, "intact"), ("full", "intact")])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_run_succeeds_even_if_nothing_can_be_printed(
    stdout: str | None, stderr: str | None, as_json: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = {None: None, "full": Broken(OSError(28, "No space left on device")), "intact": io.StringIO()}
    monkeypatch.setattr("sys.stdout", streams[stdout])
    monkeypatch.setattr("sys.stderr", error_stream := streams[stderr])
    with pytest.raises(SystemExit) as ended:
        app([*GAME, *as_json])
    monkeypatch.undo()
    assert ended.value.code == ExitCode.DONE
    assert load_result(tmp_path / "run").status == "completed"
    if stderr == "intact":
        assert error_stream is not None
        assert error_stream.getvalue().count("cannot write to standard output: ") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_characters_missing_from_the_encoding_are_replaced(encoding: str, as_json: list[str]) -> None:
    source = """
    from ganbench import LossPlugin, hookimpl

    @hookimpl
    def ganbench_losses():
        return [LossPlugin(name="accented", summary="Entropía → 0 \\U0001f600", build=print)]
    """
    Path("accented.py").write_text(dedent(source), encoding="utf-8")
    ended = ganbench(["list", "losses", "-p", "accented.py", *as_json], PYTHONIOENCODING=encoding, COLUMNS="200")
    assert ended.returncode == ExitCode.DONE, ended.stderr
    if as_json:
        assert "Entropía → 0 \U0001f600" in {plugin["summary"] for plugin in json.loads(ended.stdout)}
    else:
        assert ("Entrop?a ? 0 ?" if encoding == "ascii" else "Entropía ? 0 ?") in ended.stdout


NOISY = """
import atexit, ctypes, os, subprocess
from ganbench import LossPlugin, Options, hookimpl
from pydantic import field_validator

subprocess.run(["echo", "noise of a child"])
ctypes.CDLL(None).printf(b"noise of a library\\n")  # buffered until the process exits
atexit.register(print, "noise at the end")
atexit.register(os.write, 1, b"noise at the end\\n")

class NoisyOptions(Options):
    x: int = 1

    @field_validator("x", mode="before")
    @classmethod
    def _validate(cls, value):
        os.write(1, b"noise of a validator\\n")
        return value

@hookimpl
def ganbench_losses():
    print("noise of a hook")
    return [LossPlugin(name="noisy", summary="Noisy", options=NoisyOptions, build=print)]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no libc of that name")
@pytest.mark.parametrize("arguments", [["list", "--json"], ["show", "dcgan-fashion", "-o", "loss=noisy"]])
def test_stdout_has_only_the_commands_output_whatever_plugins_and_their_children_print(arguments: list[str]) -> None:
    Path("noisy.py").write_text(NOISY)
    ended = ganbench([*arguments, "-p", "noisy.py"])
    assert ended.returncode == ExitCode.DONE, ended.stderr
    assert "noise" not in ended.stdout
    for source in ("a child", "a library", "a hook", *(["a validator"] if arguments[0] == "show" else [])):
        assert f"noise of {source}" in ended.stderr
    assert ended.stderr.count("noise at the end") == 2


@pytest.mark.slow
def test_a_run_outlives_its_terminal_if_hangups_are_ignored(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execvp(sys.executable, [sys.executable, "-m", "ganbench", *GAME])
    seen = b""
    while b"warming up" not in seen:
        seen += os.read(terminal, 4096)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.DONE
    result = load_result(tmp_path / "run")
    assert result.status == "completed"
    assert "losses" in result.artifacts


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (OSError(5, "Input/output error"), "cannot write to standard output: Input/output error"),
        (ValueError("I/O operation on closed file"), "cannot write to standard output: I/O operation on closed file"),
        (BrokenPipeError(32, "Broken pipe"), None),
    ],
)
def test_a_safe_stream_keeps_the_first_error_and_discards_further_text(error: Exception, failure: str | None) -> None:
    stream = SafeStream(cast(TextIO, Broken(error)))
    assert stream.write("one") == 3
    stream.writelines(iter(["two", "three"]))
    stream.flush()
    assert stream.error is error
    assert stream.failure == failure


def test_a_safe_stream_waits_for_a_slow_reader() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stream = SafeStream(os.fdopen(writer, "w"))
    text = "x" * 200_000  # more than a pipe holds
    if os.fork() == 0:
        os.close(writer)
        time.sleep(0.05)
        received = 0
        while received < len(text):
            received += len(os.read(reader, 4096))
        os._exit(0)
    os.close(reader)
    stream.write(text)
    stream.flush()
    assert stream.error is None
    assert os.wait()[1] == 0


def test_ganbenchs_own_warnings_are_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    outcome = run_command(*SCORED, columns=300)
    assert outcome.exit_code == ExitCode.DONE, outcome.output
    lines = [line for line in outcome.stderr.splitlines() if "cannot write the cache file" in line]
    assert lines
    assert all(line.startswith("warning: cannot write the cache file ") for line in lines)
    assert all(line.endswith(": Not a directory") for line in lines)
    assert "warnings.warn" not in outcome.output


def test_other_warnings_are_unchanged(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("import warnings; warnings.warn('old style')")
    with pytest.warns(UserWarning, match="old style"):
        outcome = run_command("list", "models", "-p", "old.py")
    assert outcome.exit_code == ExitCode.DONE


@pytest.mark.parametrize("part", ["result_tables.show_result", "terminal.lines.LineDisplay.stop"])
def test_a_failing_display_does_not_affect_the_run(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError("no columns")

    monkeypatch.setattr(f"ganbench.reporting.{part}", fail)
    outcome = run_command(*GAME)
    assert outcome.exit_code == ExitCode.DONE
    assert "failed: ZeroDivisionError: no columns" in outcome.stderr
    assert load_result(tmp_path / "run").status == "completed"


@pytest.mark.parametrize("leaving", ["sys.exit(1)", "raise SystemExit(0)", "raise BrokenPipeError"])
def test_a_plugin_cannot_choose_the_exit_code(leaving: str, tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(LEAVING.replace("LEAVE", leaving))
    outcome = run_command("show", "dcgan-fashion", "-p", "leaving.py", "-o", "loss=leaving")
    assert outcome.exit_code == ExitCode.FAILED
    assert outcome.stderr.startswith("error: loss 'leaving' (from leaving.py sha256:")


LEAVING = """
import sys
from ganbench import LossPlugin, Options, hookimpl
from pydantic import field_validator

class LeavingOptions(Options):
    x: int = 1

    @field_validator("x")
    @classmethod
    def _leave(cls, value):
        LEAVE

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="leaving", summary="Leaves", options=LeavingOptions, build=print)]
"""
