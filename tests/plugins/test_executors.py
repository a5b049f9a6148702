"""Executors run jobs as child processes and report how each ended; these tests need no training."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ganbench import ExecutorContext, GanbenchError, GanbenchWarning, Job, JobProcess, MissingError, UsageError
from ganbench.errors import ExitCode
from ganbench_executors import ganbench_executors
from ganbench_executors.local import LocalExecutor, split, split_gpus, visible_gpus

SLEEP = "import time; time.sleep(60)"
PRINT_THREADS = "import os; print(os.environ['OMP_NUM_THREADS'])"


@pytest.fixture
def job(tmp_path: Path) -> Any:
    def make(name: str, code: str, processes: int = 1) -> Job:
        command = (sys.executable, "-c", code)
        return Job(name, tmp_path / name, command, command, tmp_path / f"{name}.log", tmp_path, processes)

    return make


HERE = {"node_ip_address": "127.0.0.2", "include_dashboard": False}  # Ray replaces 127.0.0.1 by the public address
MISSING = {"slurm": "submitit", "ray": "ray"}  # the extra has the name of the executor


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_engine_is_named_with_its_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MISSING[name], None)
    monkeypatch.delitem(sys.modules, "ganbench_executors.slurm", raising=False)
    monkeypatch.delitem(sys.modules, "ganbench_executors.ray_cluster", raising=False)
    with pytest.raises(MissingError, match=rf"executor '{name}' requires .*'ganbench\[{name}\]'"):
        build(name, tmp_path)


def build(name: str, folder: Path, **options: Any) -> Any:
    """Build an executor with its options, as a suite does."""
    (plugin,) = (plugin for plugin in ganbench_executors() if plugin.name == name)
    return plugin.build(plugin.options(**options), ExecutorContext(folder, "cpu"))


def local(folder: Path, jobs: int, device: str = "cpu") -> LocalExecutor:
    return LocalExecutor(jobs, None, ExecutorContext(folder, device))


class FakeSlurm:
    """Slurm's commands as scripts that keep their state in files; jobs stay in the queue until they are canceled."""

    COMMANDS = {
        "srun": "",
        "sbatch": """
            number=$(($(cat submitted) + 1)); echo $number > submitted
            last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
            if [ -n "$last" ]; then seq -f "${number}_%g RUNNING" 0 "$last"; else echo "$number RUNNING"; fi >> queue
            echo "Submitted batch job $number" """,
        "squeue": "cat queue",
        "scancel": "echo $* > canceled; : > queue",
        "scontrol": "echo JobState=FAILED",
    }

    def __init__(self, folder: Path) -> None:
        """Write the scripts; one fails once there are as many jobs as the file `COMMAND-fails-at` says."""
        self.folder = folder
        folder.mkdir()
        for name, script in self.COMMANDS.items():
            check = f'if [ "$(cat submitted)" = "$(cat {name}-fails-at)" ]; then echo "{name}: busy" >&2; exit 1; fi'
            (folder / name).write_text(f"#!/bin/sh\ncd {folder}\n{check}\n{script}\n")
            (folder / name).chmod(0o755)
            self.fail(name, -1)
        (folder / "submitted").write_text("0")
        (folder / "queue").touch()

    def fail(self, name: str, jobs: int) -> None:
        (self.folder / f"{name}-fails-at").write_text(str(jobs))

    def canceled(self) -> list[str]:
        return (self.folder / "canceled").read_text().split()

    def end(self, executor: Any, number: str, content: tuple[str, object]) -> None:
        """Take a job off the queue that has left the result, in the words of submitit."""
        folder = Path(executor.submitter.folder)
        (folder / f"{number}_0_result.pkl").write_bytes(pickle.dumps(content))
        queue = (self.folder / "queue").read_text().splitlines()
        self.answer("".join(f"{line}\n" for line in queue if line.split()[0] != number))

    def answer(self, queue: str) -> None:
        """Let squeue print this, from one moment to the next."""
        (self.folder / "new-queue").write_text(queue)
        (self.folder / "new-queue").replace(self.folder / "queue")


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", f"{tmp_path / 'slurm'}:{os.environ['PATH']}")
    return FakeSlurm(tmp_path / "slurm")


def test_each_job_reports_its_own_end(job: Any, tmp_path: Path) -> None:
    executor = local(tmp_path, 2)
    codes = {"good": "", "bad": "raise SystemExit(5)", "killed": "import os; os.kill(os.getpid(), 9)"}
    futures = executor.submit([job(name, code) for name, code in codes.items()])
    assert [future.result(30).exit_code for future in futures] == [0, 5, -9]
    executor.shut_down()


def test_jobs_share_out_the_cores_and_keep_their_number_of_threads(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("ganbench_executors.local.physical_cores", lambda: [(0,), (1,), (2,), (3,)])
    one, two = job("one", ""), job("two", "", processes=2)
    assert local(tmp_path, 2).shares.get().variables(one)["OMP_NUM_THREADS"] == "2"
    with pytest.warns(GanbenchWarning):  # two threads on one core
        share = local(tmp_path, 4).shares.get()
    assert share.variables(one)["OMP_NUM_THREADS"] == "2"  # as the suite began
    assert share.variables(two)["OMP_NUM_THREADS"] == "1"  # each of its processes


def test_the_users_number_of_threads_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    monkeypatch.setattr("ganbench_executors.local.physical_cores", lambda: [(0,), (1,), (2,), (3,)])
    assert build("local", tmp_path).shares.get().threads == 3


def test_another_number_of_threads_than_the_suite_began_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr("ganbench_executors.local.physical_cores", lambda: [(0,), (1,), (2,), (3,)])
    assert build("local", tmp_path, threads=3).shares.get().threads == 3
    assert build("local", tmp_path).shares.get().threads == 3
    with pytest.raises(UsageError, match=r"threads=4: this suite began with 3"):
        build("local", tmp_path, threads=4)


class TaskHere:
    """A task of Ray that runs at once, in this process."""

    def __init__(self, function: Callable[..., int]) -> None:
        self.function = function

    def remote(self, *arguments: Any) -> TaskHere:
        self.end: Future[int] = Future()
        self.end.set_result(self.function(*arguments))
        return self

    def future(self) -> Future[int]:
        return self.end


@pytest.mark.parametrize(
    ("name", "enough", "too_few"),
    [("local", {"jobs": 1}, {"jobs": 2}), ("slurm", {"cpus": 4}, {"cpus": 2}), ("ray", {"cpus": 4}, {"cpus": 2.5})],
)
def test_a_suite_keeps_its_number_of_threads_and_warns_if_runs_have_fewer_cores(
    name: str,
    enough: dict[str, Any],
    too_few: dict[str, Any],
    job: Any,
    tmp_path: Path,
    fake_slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(MISSING.get(name, "ganbench"))
    if name == "ray":
        monkeypatch.setattr("ray.init", lambda **_: None)
        monkeypatch.setattr("ray.remote", lambda **_: TaskHere)
    monkeypatch.setattr("ganbench_executors.local.physical_cores", lambda: [(0,), (1,), (2,), (3,)])
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    build(name, tmp_path, **enough).shut_down()
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads_of_a_job(build(name, tmp_path, **enough), job("one", PRINT_THREADS)) == "3"
    with pytest.warns(GanbenchWarning, match=rf"executor {name}: runs have 3 threads, .* but only 2 cores each"):
        executor = build(name, tmp_path, **too_few)
    assert threads_of_a_job(executor, job("two", PRINT_THREADS)) == "3"


def threads_of_a_job(executor: Any, job: Job) -> str:
    (future,) = executor.submit([job])
    if hasattr(executor, "submitter"):  # to Slurm, where the job would wait forever
        import submitit

        (number,) = executor.futures
        submitit.SlurmJob(executor.submitter.folder, number).submission().result()
    else:
        future.result(30)
    executor.shut_down()
    return job.log.read_text().strip()


@pytest.mark.parametrize(
    ("jobs", "shares"),
    [(1, [()]), (2, [(0, 4, 1, 5), (2, 6)]), (3, [(0, 4), (1, 5), (2, 6)]), (4, [()] * 4)],
)
def test_no_core_is_given_to_two_jobs(jobs: int, shares: list[tuple[int, ...]]) -> None:
    cores = [(0, 4), (1, 5), (2, 6)]
    assert sorted(map(len, split(cores, jobs))) == sorted(map(len, shares))
    given = [cpu for share in split(cores, jobs) for cpu in share]
    assert len(given) == len(set(given)) == sum(map(len, shares))


def test_gpus_are_shared_out_or_given_in_turn() -> None:
    assert split_gpus(["2", "GPU-7"], 3) == [("2",), ("GPU-7",), ("2",)]
    assert split_gpus(["0", "1", "2", "3"], 2) == [("0", "1"), ("2", "3")]
    assert split_gpus([], 2) == [(), ()]


@pytest.mark.parametrize(("given", "gpus"), [("-1", []), ("3, GPU-7,-1,5", ["3", "GPU-7"]), ("", [])])
def test_gpus_that_cuda_hides_are_not_given(given: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == gpus


def test_a_job_gets_as_many_gpus_as_it_has_processes(job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    executor = local(tmp_path, 2, device="cuda")
    share = executor.shares.get()
    given = [share.variables(job("name", "", count))["CUDA_VISIBLE_DEVICES"] for count in (1, 2)]
    assert given == ["4", "4,5"]
    with pytest.raises(UsageError, match=r"name runs in 3 processes, .* would get 2 GPUs; use fewer --jobs"):
        executor.submit([job("name", "", 3)])
    executor.shut_down()


def test_shutting_down_stops_running_jobs_and_drops_waiting_ones(job: Any, tmp_path: Path) -> None:
    executor = local(tmp_path, 1)
    running, waiting = executor.submit([job("running", SLEEP), job("waiting", "open('waiting.txt', 'w')")])
    while not executor.processes or next(iter(executor.processes))._process is None:
        time.sleep(0.01)
    executor.shut_down()
    assert running.result(0).exit_code == -15
    assert waiting.cancelled()
    assert not (tmp_path / "waiting.txt").exists()


def test_a_job_waits_for_a_process_that_still_writes_to_its_directory(job: Any, tmp_path: Path) -> None:
    waiting = job("waiting", "")
    waiting.directory.mkdir()
    lock = FileLock(waiting.directory / ".lock", thread_local=False)
    lock.acquire()
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(JobProcess(waiting).run()))
    thread.start()
    thread.join(0.5)
    assert not ended
    lock.release()
    thread.join(30)
    assert ended == [0]


def test_a_job_waits_for_a_process_as_long_as_it_makes_progress(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganbench.plugin.jobs.STALLED_SECONDS", 1)
    waiting = job("waiting", "")
    waiting.directory.mkdir()
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(JobProcess(waiting).run()))
    with FileLock(waiting.directory / ".lock", thread_local=False):
        thread.start()
        for number in range(10):
            (waiting.directory / "progress.json").write_text("{}")
            os.utime(waiting.directory / "progress.json", (number, number))  # by a clock that is late
            time.sleep(0.2)
        assert not ended
    thread.join(30)
    assert ended == [0]


def test_a_job_that_waits_says_so_and_gives_up_on_a_process_that_hangs(
    job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganbench.plugin.jobs.LOG_SECONDS", 0)
    monkeypatch.setattr("ganbench.plugin.jobs.STALLED_SECONDS", 0.5)
    waiting = job("waiting", "")
    waiting.directory.mkdir()
    with FileLock(waiting.directory / ".lock"):
        assert JobProcess(waiting).run() == ExitCode.FAILED
    told, failed = waiting.log.read_text().splitlines()
    assert told == f"waiting for another process writing to {waiting.directory}"
    assert failed == (
        f"error: another process keeps {waiting.directory} locked and has made no progress for 0 minutes; end it"
    )


def test_signals_for_the_scheduler_alone_do_not_end_a_run(job: Any) -> None:
    """Some clusters send the warning before the time limit to all processes of a job."""
    warned = job("warned", "import os, signal, sys; os.kill(os.getpid(), signal.SIGUSR2); sys.exit(3)")
    assert JobProcess(warned).run() == -signal.SIGUSR2
    assert JobProcess(warned).run(ignored_signals=[signal.SIGUSR2]) == 3


def test_a_job_that_slurm_cancels_stops_its_run(job: Any) -> None:
    """On many clusters, scancel signals only the process that Slurm started, and not its children."""
    pytest.importorskip("submitit")
    from ganbench_executors.slurm import RunOnNode

    stopped = job("stopped", "import os, signal; os.kill(os.getppid(), signal.SIGTERM); import time; time.sleep(60)")
    assert RunOnNode(stopped, {}, "")() == -signal.SIGTERM


def test_a_run_is_told_with_what_it_shares_its_machine(job: Any) -> None:
    told = job("told", "import os; print(os.environ.get('GANBENCH_SHARED_WITH'))")
    JobProcess(told).run()
    JobProcess(told).run(shared_with="2 other runs")
    assert told.log.read_text().split("\n")[:2] == ["None", "2 other runs"]


def test_slurm_cancels_or_finds_the_jobs_that_it_had_submitted_before_an_error(
    job: Any, tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    fake_slurm.fail("sbatch", 2)
    jobs, executors = [job(name, "") for name in "abc"], []
    for _ in range(2):
        executors.append(build("slurm", tmp_path, array=False))
        with pytest.raises(GanbenchError, match=r"executor slurm: Slurm refused the jobs: .*busy"):
            executors[-1].submit(jobs)
    first, second = executors
    assert set(first.futures) == set(second.futures) == {"1", "2"}
    second.shut_down()
    assert sorted(fake_slurm.canceled()) == ["1", "2"]
    first.shut_down()


def test_slurm_gets_the_memory_in_gib(job: Any, tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    executor = build("slurm", tmp_path, memory_gib=1.5)
    executor.submit([job("a", "")])
    (script,) = Path(executor.submitter.folder).glob("*_submission.sh")
    assert "#SBATCH --mem=1536MB" in script.read_text().splitlines()  # Slurm's MB are MiB
    executor.shut_down()


def test_slurm_finds_the_jobs_of_all_cells_of_a_job_of_several_seeds(
    job: Any, tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    first = build("slurm", tmp_path)
    first.submit([job("a", ""), job("b", "")])
    second = build("slurm", tmp_path, poll_seconds=0.01)
    (future,) = second.submit([replace(job("a", ""), others=(tmp_path / "b",))])
    assert set(second.futures) == set(first.futures) == {"1_0", "1_1"}
    fake_slurm.end(second, "1_0", ("success", 0))
    assert future.result(30).exit_code == 0
    again = second.submit([job("b", "")])[0]  # which has not ended
    fake_slurm.end(second, "1_1", ("success", 5))
    assert again.result(30).exit_code == 5
    first.shut_down(), second.shut_down()


def test_slurm_finds_every_cell_of_a_job_of_several_seeds(job: Any, tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    first = build("slurm", tmp_path)
    first.submit([replace(job("a", ""), others=(tmp_path / "b", tmp_path / "c"))])
    second = build("slurm", tmp_path, poll_seconds=0.01)
    futures = second.submit([job("c", ""), job("a", "")])
    (number,) = first.futures
    assert list(second.futures) == [number]
    fake_slurm.end(second, number, ("success", 5))
    assert [future.result(30).exit_code for future in futures] == [5, 5]
    first.shut_down(), second.shut_down()


def test_slurm_is_asked_again_if_the_machine_cannot_start_a_command(
    job: Any, tmp_path: Path, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = build("slurm", tmp_path, poll_seconds=0.01)
    run, busy = subprocess.run, threading.Event()

    def run_unless_busy(*arguments: Any, **options: Any) -> Any:
        if busy.is_set():
            busy.clear()
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return run(*arguments, **options)

    monkeypatch.setattr("ganbench_executors.slurm.subprocess.run", run_unless_busy)
    (future,) = executor.submit([job("a", "")])
    busy.set()
    while busy.is_set():
        time.sleep(0.01)
    fake_slurm.end(executor, *executor.futures, ("success", 5))
    assert future.result(30).exit_code == 5
    executor.shut_down()


@pytest.mark.parametrize("line", ["maintenance", "maintenance soon", "down for maintenance"])
def test_slurm_is_asked_again_if_its_answer_is_not_understood(
    line: str, job: Any, tmp_path: Path, fake_slurm: FakeSlurm
) -> None:
    executor = build("slurm", tmp_path, poll_seconds=0.01)
    futures = executor.submit([job("a", ""), job("b", "")])
    numbers, jobs = list(executor.futures), (fake_slurm.folder / "queue").read_text()
    fake_slurm.answer(f"{line}\n")
    with pytest.raises(GanbenchError, match=f"squeue printed '{line}' instead of a job's id and state"):
        executor._queue()
    time.sleep(0.2)  # the watcher asks, too
    assert not any(future.done() for future in futures)
    fake_slurm.answer(jobs)
    for number in numbers:
        fake_slurm.end(executor, number, ("success", 5))
    assert [future.result(30).exit_code for future in futures] == [5, 5]
    executor.shut_down()


def test_a_bug_ends_the_attempts_and_not_the_thread_that_asks_slurm(
    job: Any, tmp_path: Path, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = build("slurm", tmp_path, poll_seconds=0.01)
    futures = executor.submit([job("a", ""), job("b", "")])
    with monkeypatch.context() as patch:
        patch.setattr("ganbench_executors.slurm.OVER", None)
        assert {type(future.exception(30)) for future in futures} == {AttributeError}
    assert executor.watcher.is_alive()
    executor.shut_down()


@pytest.mark.parametrize("fails", ["the command", "the job"])
def test_slurm_says_if_jobs_could_not_be_canceled(
    fails: str, job: Any, tmp_path: Path, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganbench_executors.slurm.STOP_SECONDS", 1)
    executor = build("slurm", tmp_path)
    executor.submit([job("a", ""), job("b", "")])
    if fails == "the command":
        fake_slurm.fail("scancel", 1)
        message = "executor slurm: scancel failed: scancel: busy"
    else:
        (fake_slurm.folder / "scancel").write_text("#!/bin/sh\n")
        message = "executor slurm: 1_0, 1_1 are still there 1 s after scancel"
    with pytest.raises(GanbenchError, match=f"^{message}$"):
        executor.shut_down()
    assert not executor.watcher.is_alive()


def test_slurm_reports_the_error_of_a_job_that_failed(job: Any, tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    executor = build("slurm", tmp_path, poll_seconds=0.01)
    futures = executor.submit([job("failed", ""), job("lost", "")])
    try:
        Path("/nowhere/python").stat()
    except OSError:
        fake_slurm.end(executor, "1_0", ("error", traceback.format_exc()))
    assert futures[0].result(30).reason == (
        "Slurm job 1_0: FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/python'"
    )
    log = Path(executor.submitter.folder) / "1_1_0_log.err"
    log.write_text("slurmstepd: error: no such module\n")
    (fake_slurm.folder / "queue").write_text("")
    assert futures[1].result(30).reason == f"Slurm job 1_1: FAILED; see {log}"
    executor.shut_down()


@pytest.fixture
def slurm(tmp_path: Path) -> Path:
    """A folder for a real Slurm, if there is one."""
    pytest.importorskip("submitit")
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no Slurm is running here")
    return tmp_path


def test_slurm_reports_a_cancelled_job_and_finishes_the_others(job: Any, slurm: Path) -> None:
    executor = build("slurm", slurm, poll_seconds=0.2, cpus=1)
    jobs = [job("sleeping", SLEEP), job("good", "open('good.txt', 'w')")]
    sleeping, good = executor.submit(jobs)
    ids = executor.futures
    assert len(ids) == 2  # one array
    (number,) = (number for number, futures in ids.items() if sleeping in futures)
    subprocess.run(["scancel", number], check=True)
    end = sleeping.result(60)
    # a cluster that signals only one process gives the run time to end
    assert end.exit_code == -signal.SIGTERM or (end.exit_code is None and number in end.reason)
    good.result(60)
    assert (slurm / "good.txt").exists()
    executor.shut_down()


def test_slurm_finds_the_jobs_of_an_earlier_command(job: Any, slurm: Path) -> None:
    first = build("slurm", slurm, poll_seconds=0.2, cpus=1)
    first.submit([job("sleeping", SLEEP)])
    second = build("slurm", slurm, poll_seconds=0.2, cpus=1)
    second.submit([job("sleeping", SLEEP)])
    assert list(first.futures) == list(second.futures)
    second.shut_down()
    assert not second._queue() & set(first.futures)
    first.shut_down()


def test_slurms_refusal_is_one_paragraph(job: Any, slurm: Path) -> None:
    executor = build("slurm", slurm, partition="nowhere")
    with pytest.raises(GanbenchError, match=r"executor slurm: Slurm refused the jobs: .*Invalid partition"):
        executor.submit([job("good", "")])
    executor.shut_down()


@pytest.mark.slow
def test_ray_resumes_a_job_on_another_node(job: Any, tmp_path: Path) -> None:
    """The first node is removed while the job is running there."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **HERE})
    try:
        doomed = cluster.add_node(num_cpus=1, **HERE)
        executor = build("ray", tmp_path, address=cluster.address)
        code = "import pathlib, time; p = pathlib.Path('begun'); n = p.exists(); p.touch(); time.sleep(0 if n else 60)"
        (future,) = executor.submit([job("moved", code)])
        while not (tmp_path / "begun").exists():
            time.sleep(0.1)
        cluster.add_node(num_cpus=1, **HERE)
        cluster.remove_node(doomed)
        assert future.result(60).exit_code == 0
        executor.shut_down()
    finally:
        cluster.shutdown()


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1"])
def test_a_ray_that_is_not_there_is_one_paragraph(address: str, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(GanbenchError, match=rf"executor ray: no Ray cluster at address '{address}'.*ray start --head"):
        build("ray", tmp_path, address=address)
