"""The folder of a suite: what is kept, what is refused, and what happens where it cannot be written to or locked."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from test_suite import Inline, inline, states, suite, write  # noqa: F401 - one is a fixture for all tests

from ganbench import GanbenchWarning, load_result
from ganbench.errors import ExitCode
from ganbench.results.run_collection import find_runs
from ganbench.results.suite_record import read_suite
from ganbench.system.files import write_text
from ganbench.system.locks import locked_folder

MARGIN = """
from pydantic import Field
from ganbench import Options

class Margin(Options):
    margin: float = Field(0.5, description="ignored")
"""


def test_restart_keeps_the_files_of_earlier_attempts() -> None:
    write(["moody"], [1], ["moody.py"])
    Path("broken").touch()
    assert suite("--retries", "0")[0] == ExitCode.FAILED
    runs = Path("suites/mine/runs")
    (cell,) = Inline.started
    (runs / cell).mkdir(exist_ok=True)
    (runs / cell / "notes.txt").write_text("mine")
    Path("broken").unlink()
    other = Path("suites/mine/discarded") / f"{cell}-2" / "notes.txt"  # -1 has been deleted
    other.parent.mkdir(parents=True)
    other.write_text("others")
    assert suite("--restart")[0] == ExitCode.DONE
    assert (Path("suites/mine/discarded") / f"{cell}-1" / "notes.txt").read_text() == "mine"
    assert other.read_text() == "others"


def test_restart_leaves_a_run_alone_that_a_process_still_writes_to() -> None:
    write(["moody"], [1], ["moody.py"])
    Path("broken").touch()
    assert suite("--retries", "0")[0] == ExitCode.FAILED
    (cell,) = Inline.started
    directory = Path("suites/mine/runs") / cell
    with locked_folder(directory, "", "", ""):
        code, text = suite("--restart")
    assert code == ExitCode.USAGE
    assert f"--restart: {cell} is still running; wait until it has ended" in text
    assert directory.exists()
    assert len(Inline.started) == 1


def test_cells_that_the_file_no_longer_has_are_left_out_until_it_has_them_again(
    inline: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(["bce", "hinge", "lsgan"], [0])
    monkeypatch.setattr(inline, "interrupt_at", 2)
    assert suite()[0] == ExitCode.INTERRUPTED
    note = "not shown: 1 cell of an earlier version of the file"  # the third cell has not begun
    for losses in (["bce"], ["bce", "wgan"]):
        write(losses, [0])
        code, text = suite()
        assert (code, f"warning: suites/mine: {note}; suites/mine/runs has all runs" in text) == (ExitCode.DONE, True)
        assert states() == {f"loss={loss}, seed=0": "completed" for loss in losses}
        assert note in run_command("suite", "status", "suites/mine").output
        with pytest.warns(GanbenchWarning, match=note):
            assert [run.spec["loss"]["name"] for run in find_runs([Path("suites/mine")])] == losses
    assert len(find_runs([Path("suites/mine/runs")])) == 3
    write(["hinge", "wgan", "bce"], [0])
    code, text = suite()
    assert (code, "not shown" in text, len(Inline.started)) == (ExitCode.DONE, False, 3)
    assert set(states().values()) == {"completed"}


def test_cells_stay_the_same_if_a_plugin_gains_an_option() -> None:
    write(["moody"], [0, 1], ["moody.py"])
    assert suite()[0] == ExitCode.DONE
    plugin = Path("moody.py")
    plugin.write_text(MARGIN + plugin.read_text().replace('name="moody"', 'name="moody", options=Margin'))
    assert "nothing to run" in suite("--dry-run")[1]
    write(["moody"], [2, 1, 0], ["moody.py"])
    for _ in range(2):
        code, text = suite()
        assert (code, "not shown" in text, len(Inline.started)) == (ExitCode.DONE, False, 3)
    assert list(states().values()) == ["completed"] * 3
    plugin.write_text(plugin.read_text().replace("0.5", "0.6"))  # of an option that the cells have
    assert "the folder belongs to another suite" in suite("--dry-run")[1]
    plugin.write_text(plugin.read_text().replace("margin", "limit"))
    assert "the folder belongs to another suite" in suite("--dry-run")[1]


def test_a_cell_that_has_also_run_since_a_plugin_gained_an_option_keeps_its_newer_run() -> None:
    write(["moody"], [0], ["moody.py"])
    folder, older = Path("suites/mine"), Path("suites/older")
    assert suite()[0] == ExitCode.DONE
    folder.rename(older)
    plugin = Path("moody.py")
    plugin.write_text(MARGIN + plugin.read_text().replace('name="moody"', 'name="moody", options=Margin'))
    assert suite()[0] == ExitCode.DONE
    for part in ("specs", "runs"):
        shutil.copytree(older / part, folder / part, dirs_exist_ok=True)
    record, before = (json.loads((each / "suite.json").read_text()) for each in (folder, older))
    (folder / "suite.json").write_text(json.dumps({**record, "earlier_cells": before["cells"]}))
    write(["moody"], [0, 1], ["moody.py"])
    assert suite()[0] == ExitCode.DONE
    assert [cell.id for cell in read_suite(folder).cells] == Inline.started[1:]


def of_schema(number: int) -> Callable[[Path], object]:
    before, after = (f'"schema_version": {each}' for each in (3, number))
    return lambda file: file.write_text(file.read_text().replace(before, after))


def a_folder(file: Path) -> None:  # an unreadable file, for every user
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "corrupt, or not a result"),
        (of_schema(2), "written with schema 2"),
        (of_schema(99), "written by a newer version of ganbench (schema 99, "),
        (a_folder, "cannot read it: Is a directory"),
    ],
)
def test_a_cell_with_a_result_that_cannot_be_read_is_never_run_again(
    damage: Callable[[Path], object], message: str
) -> None:
    write(["bce"], [0, 1])
    assert suite()[0] == ExitCode.DONE
    file = Path("suites/mine/runs") / Inline.started[0] / "result.json"
    damage(file)
    for arguments in ([], ["--restart"], ["--dry-run"]):
        code, text = suite(*arguments)
        assert code == ExitCode.USAGE
        assert f"loss=bce, seed=0: this cell may be finished, but result {file}: {message}" in text
        assert ("delete the file" in text) != ("newer" in message)
    assert (len(Inline.started), Path("suites/mine/discarded").exists()) == (2, False)
    assert states() == {"loss=bce, seed=0": "failed", "loss=bce, seed=1": "completed"}
    if file.is_file():
        file.unlink()
        assert suite()[0] == ExitCode.DONE
        assert load_result(file).status == "completed"


def test_a_full_disk_is_an_error_in_words_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    write(["bce"], [0])

    def fail(target: Path, text: str) -> None:
        if target.parent.name == "attempts":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_text(target, text)

    with monkeypatch.context() as patch:
        patch.setattr("ganbench.suite.folder.write_text", fail)
        code, text = suite()
    assert code == ExitCode.FAILED
    assert "error: cannot write suites/mine: No space left on device; fix this and rerun the command" in text
    assert suite()[0] == ExitCode.DONE


def test_a_file_system_without_locks_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    write(["bce"], [0])
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", flock)
        code, text = suite()
    assert code == ExitCode.DONE
    assert "warning: suites/mine: the file system does not support locks" in text
    assert states() == {"loss=bce, seed=0": "completed"}


def test_a_folder_that_was_killed_before_it_was_complete_is_used_and_any_other_is_not() -> None:
    write(["bce"], [0])
    specs = Path("suites/mine/specs")
    specs.mkdir(parents=True)
    (specs / "dcgan-fashion-seed0-0123456789ab.toml").touch()
    (specs.parent / ".lock").touch()
    assert suite("--dry-run")[0] == ExitCode.DONE
    (specs.parent / "notes.txt").touch()
    code, text = suite("--dry-run")
    assert (code, "not a suite's folder, and not empty" in text) == (ExitCode.USAGE, True)


def test_any_name_of_a_folder_can_be_shown() -> None:
    write(["bce"], [0])
    code, text = suite("--dry-run", "--out", "my [/bold] folder")
    assert code == ExitCode.DONE, text
    assert "my [/bold] folder" in text


def test_the_folder_of_another_file_is_refused_with_what_differs() -> None:
    write(["bce"], [0])
    assert suite()[0] == ExitCode.DONE
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace("training.steps = 2", "training.steps = 3"))
    code, text = suite()
    assert code == ExitCode.USAGE
    assert "another suite" in text
    assert "options.training.steps: 2, now 3" in text


def test_status_of_anything_else_is_refused(tmp_path: Path) -> None:
    outcome = run_command("suite", "status", str(tmp_path))
    assert outcome.exit_code == ExitCode.USAGE
    assert "not a suite's folder" in outcome.output


def test_modules_in_the_current_folder_do_not_take_the_place_of_others() -> None:
    write(["bce"], [0])
    assert suite()[0] == ExitCode.DONE
    job = Inline.last
    assert job is not None
    Path("typer.py").write_text("raise SystemExit('not this one')")
    command = [*job.begin[: job.begin.index("run") + 1], "--help"]
    subprocess.run(command, cwd=job.working_directory, check=True, capture_output=True)
