"""`ganbench suite --seeds-at-once`: a job of several seeds gives the results of their own jobs.

Here, without a GPU, such a job trains them one after another; `training/test_seeds.py` trains seeds at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from reproducible import reproducible
from test_suite import Inline, inline, states, suite, write

from ganbench import Registry, load_result
from ganbench.errors import ExitCode
from ganbench.results.layout import CELL_RUNS, RESULT
from ganbench.spec.loading import load_spec
from ganbench.spec.seeds import may_train_at_once
from ganbench.suite.execution import Log

__all__ = ["inline"]  # the fixture, which holds for all tests
FOLDER = Path("suites/mine")
AT_ONCE = ("--seeds-at-once", "--device", "auto")


def results(folder: Path) -> dict[str, Any]:
    return {run.name: reproducible(load_result(run)) for run in (folder / CELL_RUNS).iterdir()}


def test_seeds_are_one_job_and_have_the_results_of_own_jobs() -> None:
    write(["hinge", "bce"], [0, 1, 2, 3, 4])
    file = Path("mine.toml")
    excluded = "".join(f"[[exclude]]\nloss = 'hinge'\ntraining.seed = {seed}\n" for seed in (2, 3, 4))
    file.write_text(file.read_text() + excluded)
    code, text = suite(*AT_ONCE)
    assert (code, "7 cells: 7 completed" in text) == (ExitCode.DONE, True), text
    assert len(Inline.started) == 3  # two of hinge, and four and one of bce
    write(["bce"], [1, 0])
    assert suite("--out", "own")[0] == ExitCode.DONE
    assert len(Inline.started) == 5
    own, together = results(Path("own")), results(FOLDER)
    assert own == {name: together[name] for name in own}


def test_a_seed_that_fails_costs_no_other_one() -> None:
    write(["moody"], [1, 0, 2], ["moody.py"])
    Path("broken").touch()
    code, text = suite(*AT_ONCE, "--retries", "0")
    assert code == ExitCode.FAILED
    assert list(states().values()) == ["failed", "completed", "completed"], text
    assert "no gradient today" in text
    Path("broken").unlink()
    before = len(Inline.started)
    assert suite(*AT_ONCE)[0] == ExitCode.DONE
    assert len(Inline.started) == before + 1


def test_compiled_networks_are_not_trained_at_once(registry: Registry) -> None:
    """Compiling for one run would recompile the others within their timed windows."""
    plain, compiled = (load_spec("dcgan-fashion", registry, each) for each in ([], ["engine.compile=true"]))
    assert [may_train_at_once(plain), may_train_at_once(compiled)] == [True, False]


def test_what_cannot_be_trained_at_once_is_a_job_of_its_own() -> None:
    write(["bce"], [0, 1])
    file = Path("mine.toml")
    file.write_text(file.read_text().replace("[axes]", 'engine.mode = "eager"\n[axes]'))
    assert suite(*AT_ONCE)[0] == ExitCode.DONE
    assert len(Inline.started) == 2
    code, text = suite("--seeds-at-once")
    assert (code, "--seeds-at-once trains on a GPU, but --device is cpu" in text) == (ExitCode.USAGE, True)


@pytest.mark.parametrize("begun", [0, 1])
def test_a_job_that_a_cluster_queues_again_leaves_its_cells_to_own_jobs(begun: int) -> None:
    write(["bce"], [0, 1])
    assert suite()[0] == ExitCode.DONE
    expected, cells = results(FOLDER), [run.name for run in sorted((FOLDER / CELL_RUNS).iterdir())]
    (FOLDER / CELL_RUNS / cells[1 - begun]).rename("moved")
    (FOLDER / CELL_RUNS / cells[begun] / RESULT).unlink()
    outcome = run_command("suite", "train", str(FOLDER), *cells)
    assert outcome.exit_code == ExitCode.FAILED
    for cell in cells:
        assert f"error: {cell}: a cluster has queued the job again" in outcome.output
    Inline.started.clear()
    assert suite(*AT_ONCE)[0] == ExitCode.DONE
    assert Inline.started == cells
    assert results(FOLDER) == expected


def test_each_seed_has_its_own_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("error: of an earlier attempt\n")
    begin = log.stat().st_size
    with log.open("a") as appended:
        print("error: a-seed1: no memory\nerror: a-seed2: no images\nthe end", file=appended)
    errors = [Log(log, begin, of_cell=cell).last_error() for cell in ("a-seed1", "a-seed2", "a-seed3", None)]
    assert errors == ["error: no memory", "error: no images", None, "error: a-seed2: no images"]
