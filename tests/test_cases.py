"""End-to-end cases: each script in `tests/cases` uses ganbench in an unusual situation, and fails unless it is right.

The header of a script says what is right and what is wrong. A script runs in a copy of its folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
SCRIPTS = sorted(CASES.glob("*/*.sh"))
TIME_LIMIT = 300  # seconds
SKIP = 77  # exit code of a script that cannot run here, as in Automake; also in env.sh


def name_of(script: Path) -> str:
    folder = script.parent.name
    return folder if script.stem == "run" else f"{folder}/{script.stem}"


@pytest.fixture(scope="session")
def matplotlib_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of fonts, shared by all cases: building it takes longer than a short run."""
    return tmp_path_factory.mktemp("matplotlib")


@pytest.fixture
def environment(isolated_environment: None, tmp_path: Path, matplotlib_cache: Path) -> dict[str, str]:
    """The environment of a script: the commands of this Python, and nothing of the user's."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "MPLCONFIGDIR": str(matplotlib_cache),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_case(script: Path, environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copy(CASES / "env.sh", tmp_path)
    folder = shutil.copytree(script.parent, tmp_path / script.parent.name)
    log = tmp_path / "log.txt"  # a pipe would stay open as long as any child process
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", script.name],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            outcome = f"exit code {process.wait(TIME_LIMIT)}"
        except subprocess.TimeoutExpired:
            outcome = f"not finished after {TIME_LIMIT} seconds"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what the script started and left running
            process.wait()
    printed = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode == SKIP:
        pytest.skip(printed.splitlines()[-1])
    if process.returncode != 0:
        pytest.fail(f"{name_of(script)}: {outcome}. It printed:\n{printed}", pytrace=False)
