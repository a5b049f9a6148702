"""`ganbench suite`: runs exactly what is missing, keeps crashes as crashes, and goes on where it stopped.

An executor of the tests trains in this process, because starting Python and torch takes longer than the runs.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from rich.console import Console

from ganbench import GanbenchError, load_result, run
from ganbench.errors import ExitCode
from ganbench.plugin.callbacks import Progress
from ganbench.plugin.jobs import Job, JobEnd
from ganbench.results.layout import PROGRESS
from ganbench.results.suite_record import Attempt, CellRecord
from ganbench.suite.cell_state import CellStatus, State, unfinished_status
from ganbench.suite.command import locate
from ganbench.suite.execution import Log, find_problem
from ganbench.suite.tables import SuiteDisplay, estimate, speed_cell, summary
from ganbench.system.locks import locked_folder

EXECUTOR = """
from ganbench import ExecutorPlugin, hookimpl
from test_suite import Inline

@hookimpl
def ganbench_executors():
    return [ExecutorPlugin(name="inline", summary="Trains in this process", build=lambda options, context: Inline())]
"""
LOSS = """
from pathlib import Path
from ganbench import Registry, LossPlugin, hookimpl

def build(options, context):
    if Path("broken").exists() and context.seed == 1:
        raise RuntimeError("no gradient today")
    from ganbench_losses import ganbench_losses
    (bce,) = (loss for loss in ganbench_losses() if loss.name == "bce")
    return bce.build(bce.options(), context)

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="moody", summary="Fails if a file exists", build=build)]
"""
SUITE = """
benchmark = "dcgan-fashion"
seeds = {seeds}
plugins = {plugins}
[options]
dataset.source = "embedded"
model.width = 4
training.steps = 2
training.batch_size = 8
sample_images = {{ real = 0, generated = 0 }}
metrics = []
[axes]
loss = {losses}
"""


class Inline:
    """Runs jobs one after the other while they are submitted."""

    started: list[str] = []
    kill: set[str] = set()  # jobs to lose instead
    last: Job | None = None  # the one that was started last
    interrupt_at: int | None = None  # send SIGTERM to the suite before this job, and leave it queued
    refuse_at: set[int] = set()  # calls of `submit` to refuse
    submissions = 0

    def submit(self, jobs: list[Job]) -> list[Future[JobEnd]]:
        type(self).submissions += 1
        if self.submissions in self.refuse_at:
            raise GanbenchError("the queue is not available")
        return [self.run(job) for job in jobs]

    def run(self, job: Job) -> Future[JobEnd]:
        if len(self.started) == self.interrupt_at:
            type(self).interrupt_at = None
            os.kill(os.getpid(), signal.SIGTERM)
            return Future()
        self.started.append(job.name)
        type(self).last = job
        future: Future[JobEnd] = Future()
        future.set_result(JobEnd(None, "the machine caught fire") if job.name in self.kill else JobEnd(train(job)))
        return future

    def shut_down(self) -> None:
        pass


def train(job: Job) -> int:
    if job.others:
        outcome = run_command(*job.command[job.command.index("suite") :])
        job.log.write_text(outcome.output)
        return outcome.exit_code
    plugins, track = (
        [word for option, word in zip(job.begin, job.begin[1:], strict=False) if option == wanted]
        for wanted in ("-p", "--track")
    )
    try:
        if job.command == job.resume:
            run(resume=job.directory, plugins=plugins, track=track, quiet=True)
        else:
            spec = job.begin[job.begin.index("run") + 1]
            run(spec, plugins=plugins, track=track, device="cpu", out=job.directory, quiet=True)
    except GanbenchError as error:
        with job.log.open("a") as log:
            print(f"error: {error}", file=log)
        return error.exit_code
    return ExitCode.DONE


@pytest.fixture(autouse=True)
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "inline.py").write_text(EXECUTOR)
    (tmp_path / "moody.py").write_text(LOSS)
    monkeypatch.setattr(Inline, "started", [])
    monkeypatch.setattr(Inline, "kill", set())
    monkeypatch.setattr(Inline, "refuse_at", set())
    monkeypatch.setattr(Inline, "submissions", 0)
    monkeypatch.setattr("ganbench.suite.execution.REFUSED_SECONDS", 0)
    return Inline


def write(losses: list[str], seeds: list[int], plugins: list[str] = []) -> None:  # noqa: B006 - never modified
    Path("mine.toml").write_text(SUITE.format(losses=losses, seeds=seeds, plugins=plugins))


def suite(*arguments: str) -> tuple[int, str]:
    words = ["suite", "mine.toml", "--executor", "inline", "-p", "inline.py", "--device", "cpu", *arguments]
    outcome = run_command(*words, columns=200)
    return outcome.exit_code, outcome.output


def states() -> dict[str, str]:
    outcome = run_command("suite", "status", "suites/mine", "--json")
    return {cell["label"]: cell["state"] for cell in json.loads(outcome.output)}


def test_a_larger_file_in_another_order_runs_only_what_is_new() -> None:
    write(["bce"], [0])
    code, text = suite("--dry-run")
    assert (code, "1 cell to run" in text, Path("suites").exists()) == (0, True, False)
    assert suite()[0] == ExitCode.DONE
    first = load_result(next(Path("suites/mine/runs").iterdir()))
    assert first.spec["training"]["seed"] == 0
    write(["hinge", "bce"], [1, 0])
    before = list(Inline.started)
    code, text = suite()
    assert code == ExitCode.DONE, text
    assert "4 cells: 4 completed" in text
    assert len(Inline.started) == 4
    assert not set(Inline.started[1:]) & set(before)
    assert first in [load_result(folder) for folder in Path("suites/mine/runs").iterdir()]
    assert suite()[0] == ExitCode.DONE
    assert len(Inline.started) == 4


def test_a_crash_stays_a_crash_costs_no_other_cell_and_is_tried_again_by_the_next_command() -> None:
    write(["moody", "bce"], [0, 1], ["moody.py"])
    Path("broken").touch()
    code, text = suite()
    assert code == ExitCode.FAILED
    assert states() == {
        "loss=moody, seed=0": "completed", "loss=moody, seed=1": "failed",
        "loss=bce, seed=0": "completed", "loss=bce, seed=1": "completed",
    }  # fmt: skip
    assert "no gradient today" in text
    assert len(Inline.started) == 5  # a second attempt failed in the same way, so there was no third
    Path("broken").unlink()
    assert suite()[0] == ExitCode.DONE
    assert len(Inline.started) == 6


def first_cell() -> str:
    text = suite("--dry-run", "--json")[1]
    return str(json.loads(text[text.index("[") : text.rindex("]") + 1])[0]["cell"])


def test_a_lost_job_is_resumed_as_often_as_stated(inline: Any) -> None:
    write(["bce"], [0, 1])
    inline.kill = {lost := first_cell()}
    code, text = suite("--retries", "3")
    assert code == ExitCode.FAILED
    assert Inline.started.count(lost) == 4
    assert "the machine caught fire" in text
    assert list(states().values()) == ["failed", "completed"]


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (0, ": the future of a job must give a JobEnd, got 0"),
        (JobEnd("0"), ": the future of a job must give a JobEnd, got JobEnd(exit_code='0', reason='')"),  # type: ignore[arg-type]
        (KeyError("queue"), " raised for this job: KeyError: 'queue'"),
        (SystemExit(1), " raised for this job: SystemExit: 1"),
    ],
)
def test_a_wrong_end_of_a_job_concerns_that_job_alone(
    end: Any, message: str, inline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job = Inline.run

    def run_or_end(self: Inline, job: Job) -> Future[JobEnd]:
        if job.name != wrong:
            return run_job(self, job)
        future: Future[JobEnd] = Future()
        (future.set_exception if isinstance(end, BaseException) else future.set_result)(end)
        return future

    write(["bce"], [0, 1])
    wrong = first_cell()
    monkeypatch.setattr(inline, "run", run_or_end)
    code, text = suite("--retries", "0")
    assert code == ExitCode.FAILED
    assert re.search(rf"executor 'inline' \(from inline\.py sha256:\w+\){re.escape(message)}", " ".join(text.split()))
    assert list(states().values()) == ["failed", "completed"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, ": submit must return a list with a future for each of 2 jobs, got None"),
        ([], ": submit must return a list with a future for each of 2 jobs, got []"),
        ([Future(), 0], ": submit must return a list with a future for each of 2 jobs, got [<Future"),
        (KeyError("queue"), " raised in submit: KeyError: 'queue'"),
    ],
)
def test_an_executor_that_does_not_submit_is_named(
    returned: Any, message: str, inline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(*_: object) -> Any:
        if isinstance(returned, Exception):
            raise returned
        return returned

    write(["bce"], [0, 1])
    monkeypatch.setattr(inline, "submit", submit)
    code, text = suite()
    assert code == ExitCode.FAILED
    assert re.search(rf"error: executor 'inline' \(from inline\.py sha256:\w+\){re.escape(message)}", text)


def test_a_refusal_ends_the_suite_at_its_start_and_later_only_the_cells_that_it_concerns(inline: Any) -> None:
    write(["moody", "bce"], [1], ["moody.py"])
    Path("broken").touch()
    inline.refuse_at = {1, 3, 4}
    code, text = suite()
    assert (code, "error: the queue is not available" in text, Inline.started) == (ExitCode.FAILED, True, [])
    code, text = suite()
    assert (code, len(Inline.started)) == (ExitCode.FAILED, 2)
    assert "loss=moody, seed=1: attempt 4 failed: the queue is not available" in text
    assert "2 cells: 1 failed, 1 completed" in text


def test_a_refused_retry_does_not_end_the_retry_of_another_cell(inline: Any) -> None:
    class AllJobs(set[str]):
        def __contains__(self, _: object) -> bool:
            return True

    write(["bce"], [0, 1])
    inline.kill, inline.refuse_at = AllJobs(), {3}
    code, text = suite("--retries", "1")
    assert (code, len(inline.started)) == (ExitCode.FAILED, 3)
    assert text.count("attempt 2 failed: the queue is not available") == 1


def test_a_job_whose_future_is_canceled_is_retried(inline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    canceled: Future[JobEnd] = Future()
    canceled.cancel()
    canceled.set_running_or_notify_cancel()
    futures, run = iter([canceled]), inline.run
    monkeypatch.setattr(inline, "run", lambda self, job: next(futures, None) or run(self, job))
    write(["bce", "hinge"], [0])
    assert suite()[0] == ExitCode.DONE
    assert next(futures, None) is None


def test_a_queue_that_is_restarted_does_not_use_up_the_retries(inline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > 90:
            Path("broken").unlink(missing_ok=True)
            inline.refuse_at = set()

    monkeypatch.setattr("ganbench.suite.execution.REFUSED_SECONDS", 60)
    monkeypatch.setattr("ganbench.suite.execution.monotonic", lambda: now)
    monkeypatch.setattr("ganbench.suite.execution.sleep", sleep)
    write(["moody", "bce"], [1], ["moody.py"])
    Path("broken").touch()
    inline.refuse_at = {2, 3, 4}
    code, text = suite("--retries", "3")
    assert (code, inline.submissions) == (ExitCode.DONE, 4)
    assert "attempt 3 failed: the queue is not available" in text


def test_a_signal_stops_the_suite_and_the_same_command_goes_on(inline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(["bce", "hinge"], [0])
    monkeypatch.setattr(inline, "interrupt_at", 1)
    code, _ = suite()
    assert code == ExitCode.INTERRUPTED
    assert "failed" not in states().values()
    assert suite()[0] == ExitCode.DONE
    assert set(states().values()) == {"completed"}


def test_an_executor_that_fails_to_shut_down_does_not_hide_why_the_suite_ends(
    inline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Inline) -> None:
        raise RuntimeError("no queue")

    write(["bce", "hinge"], [0])
    monkeypatch.setattr(inline, "interrupt_at", 1)
    monkeypatch.setattr(inline, "shut_down", fail)
    code, text = suite()
    assert code == ExitCode.INTERRUPTED
    assert "raised in shut_down: RuntimeError: no queue; jobs may still be running" in " ".join(text.split())


def test_a_run_that_could_not_be_stopped_is_still_shown_as_running(
    inline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Inline) -> None:
        raise GanbenchError("scancel failed")

    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with ExitStack() as stack:

        def start_elsewhere(_: Inline, job: Job) -> Future[JobEnd]:
            stack.enter_context(locked_folder(job.directory, "", "", ""))
            return Future()

        write(["bce"], [0])
        monkeypatch.setattr(inline, "run", start_elsewhere)
        monkeypatch.setattr(inline, "shut_down", fail)
        monkeypatch.setattr("ganbench.suite.execution.wait", interrupt)
        code, text = suite()
        assert code == ExitCode.INTERRUPTED
        assert "scancel failed; jobs may still be running" in text
        assert set(states().values()) == {"running"}


def test_what_its_processes_cannot_share_is_found_before_anything_runs() -> None:
    write(["bce"], [0])
    Path("mine.toml").write_text("processes = 3" + Path("mine.toml").read_text())
    assert "training.batch_size: 8 images cannot be split evenly over 3 processes" in suite()[1]
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace("processes = 3", "processes = 2"))
    code, text = suite("--device", "cuda:1")
    assert code == ExitCode.USAGE
    assert "--device cuda:1: torchrun gives each process its own GPU" in text
    assert not Path("suites").exists()


def test_a_cell_is_running_also_if_the_clock_was_set_back(tmp_path: Path) -> None:
    cell = CellRecord(id="cell", label="", axes={}, seed=0)
    attempt = Attempt(executor="local", submitted_at=datetime.now().astimezone() + timedelta(hours=1))
    directory = tmp_path / "runs" / "cell"
    directory.mkdir(parents=True)
    (directory / "spec.toml").touch()
    assert unfinished_status(tmp_path, cell, attempt, 1).state == "queued"
    with locked_folder(directory, "", "", ""):
        assert unfinished_status(tmp_path, cell, attempt, 1).state == "running"


def test_the_speed_of_a_running_cell_is_marked_if_other_runs_share_the_machine(tmp_path: Path) -> None:
    cell = CellRecord(id="cell", label="", axes={}, seed=0)
    attempt = Attempt(executor="local", submitted_at=datetime.now().astimezone() - timedelta(hours=1))
    directory = tmp_path / "runs" / "cell"
    directory.mkdir(parents=True)
    for disturbed, speed in ((False, "500"), (True, "~500")):
        progress = Progress(1, 1, 2, {}, images_per_second=500.0, seconds_left=1.0, disturbed=disturbed)
        (directory / PROGRESS).write_text(json.dumps(asdict(progress)))
        assert speed_cell(unfinished_status(tmp_path, cell, attempt, 1)) == speed


def test_the_error_of_an_attempt_is_not_that_of_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "cell.log"
    log.write_text("error: no gradient today\n")
    assert Log(log, 0).last_error() == "error: no gradient today"
    assert Log(log, log.stat().st_size).last_error() is None


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (40, "signal 40")])  # a real-time signal without a name
def test_a_run_killed_by_any_signal_is_described(number: int, name: str, tmp_path: Path) -> None:
    attempt = Attempt(executor="local", submitted_at=datetime.now().astimezone())
    problem = find_problem(JobEnd(-number), tmp_path, attempt, Log(tmp_path / "cell.log", 0))
    assert problem == f"killed by {name}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "locl"], "unknown executor 'locl'; did you mean 'local'"),
        (["--executor", "local", "-x", "job=2"], "job: unknown key; did you mean 'jobs'"),
        (["--executor", "local", "-x", "jobs=0"], "jobs: must be at least 1"),
        (["--executor", "local", "-x", "jobs"], "-x jobs: expected KEY=VALUE, such as -x jobs=2"),
        (["--executor", "local", "-x", "=2"], "-x =2: expected KEY=VALUE, such as -x jobs=2"),
        (["--executor", "local", "-x", "jobs={"], "-x jobs={: not a TOML table or list"),
        (["--track", "tensorbord"], "unknown tracker 'tensorbord'; did you mean 'tensorboard'"),
    ],
)
def test_a_wrong_executor_or_tracker_is_refused_before_anything_runs(arguments: list[str], message: str) -> None:
    write(["bce"], [0])
    code, text = suite(*arguments)
    assert code == ExitCode.USAGE
    assert message in text
    assert not Path("suites").exists()


def test_the_options_of_an_unknown_executor_are_refused() -> None:
    write(["bce"], [0])
    Path("mine.toml").write_text(Path("mine.toml").read_text() + "[executors.slrum]\ncpus = 4\n")
    code, text = suite()
    assert (code, Path("suites").exists()) == (ExitCode.USAGE, False)
    assert "executors.slrum: unknown executor 'slrum'; did you mean 'slurm'" in text


def test_the_help_has_the_short_form_of_the_command() -> None:
    assert (
        "`ganbench suite FILE.toml` is short for `ganbench suite run FILE.toml`"
        in run_command("suite", "--help", columns=200).output
    )


def test_the_time_left_is_that_of_the_cells_that_this_command_still_runs() -> None:
    cell = CellRecord(id="cell", label="", axes={}, seed=0)
    half = Progress(epoch=1, step=1, total_steps=2, losses={}, images_per_second=1.0, seconds_left=300.0)
    cells = [
        CellStatus(cell, State.COMPLETED, seconds=600.0),
        CellStatus(cell, State.RUNNING, progress=half),
        CellStatus(cell, State.QUEUED),
        CellStatus(cell, State.FAILED),
    ]
    assert "about 15 min left" in summary(cells)
    assert "about 25 min one after the other" in estimate(cells)  # by the next command


def test_every_cell_is_tracked() -> None:
    write(["bce"], [0, 1])
    assert suite("--track", "tensorboard")[0] == ExitCode.DONE
    for folder in Path("suites/mine/runs").iterdir():
        assert list((folder / "tensorboard").glob("events.out.tfevents.*"))


def test_a_display_that_fails_is_named_once_and_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OverflowError("cannot convert float infinity to integer")

    monkeypatch.setattr("ganbench.suite.tables.SuiteDisplay.on_poll", fail)
    monkeypatch.setattr("ganbench.suite.tables.SuiteDisplay.on_change", fail)
    write(["bce", "hinge"], [0])
    code, text = suite()
    assert code == ExitCode.DONE
    assert text.count("showing the suite failed: OverflowError") == 1


def test_a_terminal_that_cannot_move_the_cursor_gets_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with SuiteDisplay(console, "mine") as display:
        display.on_poll([CellStatus(CellRecord(id="a", label="a", axes={}, seed=0), State.RUNNING)])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "1 cell: 1 running\n"


@pytest.mark.parametrize(
    ("arguments", "data", "message"),
    [
        (["--device", "cdua"], "", "--device cdua: choose auto, cpu, cuda or cuda:N"),
        (["--executor", "local"], "tpyo", "GANBENCH_DATA=tpyo: no such folder"),
    ],
)
def test_what_would_fail_each_cell_is_refused_at_once(
    arguments: list[str], data: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(["bce"], [0])
    monkeypatch.setenv("GANBENCH_DATA", data)
    code, text = suite(*arguments)
    assert (code, message in text) == (ExitCode.USAGE, True), text
    assert not Path("suites").exists()


def test_a_data_folder_that_only_the_nodes_of_a_cluster_have_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    write(["bce"], [0])
    monkeypatch.setenv("GANBENCH_DATA", "/scratch/of/the/nodes")
    assert suite("--executor", "slurm", "--dry-run")[0] == ExitCode.DONE
    code, text = suite("--executor", "local", "--dry-run")
    assert (code, "GANBENCH_DATA=/scratch/of/the/nodes: no such folder" in text) == (ExitCode.USAGE, True), text


def test_a_plugin_file_is_relative_to_the_suite_or_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = ("own.py", "~/own.py", "/lib/own.py", "own.module")
    assert [locate(plugin, Path("suites")) for plugin in given] == [
        *("suites/own.py", str(tmp_path / "own.py"), "/lib/own.py", "own.module")
    ]
