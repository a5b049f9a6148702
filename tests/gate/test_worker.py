"""The gate's worker process under plugins that print, read, fork, hang or die, and the errors that it reports.

The jobs are replaced, so torch is not imported, except in one test.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from textwrap import dedent, indent
from typing import Any

import pytest

import ganbench.gate
from ganbench import BuildContext, load_spec
from ganbench.errors import MissingError, UsageError
from ganbench.gate.side import SessionConfig, SessionError, Side, Worker
from ganbench.gate.worker import main as worker
from ganbench.gate.worker.job_specs import make_complete, make_endless, without_schedule
from ganbench.gate.worker.slowdown import slow_down
from ganbench.spec.length import Events, Length
from ganbench.training.schedules import check_schedules

TIME_LIMIT = 60.0  # seconds, after which a worker that hangs is ended
REAL = Path(ganbench.gate.__file__).parent / "worker" / "main.py"
WORKER = """
import importlib.util, os, subprocess, sys, threading, time

found = importlib.util.spec_from_file_location("worker", {path!r})
worker = importlib.util.module_from_spec(found)
found.loader.exec_module(worker)


def probe(request, answer, requests):
{body}

worker.probe = probe
worker.main()
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`start(body)` starts a worker whose job is a function with that body."""

    @contextmanager
    def start(body: str) -> Iterator[Worker]:
        file = tmp_path / "worker.py"
        file.write_text(WORKER.format(path=str(REAL), body=indent(dedent(body), "    ")))
        monkeypatch.setattr("ganbench.gate.side.WORKER", file)
        with Side("base").start("probe", SessionConfig("any")) as worker:
            end = threading.Timer(TIME_LIMIT, os.killpg, [worker._process.pid, signal.SIGKILL])
            end.start()
            try:
                yield worker
            finally:
                hung = end.finished.is_set()
                end.cancel()
                assert not hung, "the gate waited for a worker that hung"

    return start


@pytest.mark.parametrize(
    "body",
    [
        "print('text'); os.system('echo text'); os.write(1, b'text')",
        "subprocess.run(['cat'])  # such as ffmpeg or ssh, which read what they can get",
        "sys.stdin.read()",
        "sys.stdout.close(); os.close(0); os.close(1)",
        "threading.Thread(target=time.sleep, args=[600]).start()",
        "os.fork() or time.sleep(600)",
    ],
)
def test_nothing_that_a_plugin_does_disturbs_the_exchange(body: str, start: Any) -> None:
    with start(f"{body}\nanswer(1)\nanswer(requests.get().decode())\nreturn 'end'") as worker:
        assert worker.answer() == 1
        worker.go_on()
        assert worker.answer() == "g"
        assert worker.last_answer() == "end"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os._exit(0)", "failed with exit code 0"),
        ("raise SystemExit(0)", "failed with exit code 0"),
        ("os.abort()", r"ended by signal 6 \(Aborted\)"),
        ("os.kill(os.getpid(), 9)", "memory had run out; if two sessions ran at once, try --sequential"),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')", "1, as if .*, try --sequential"),
        ("if os.fork(): os._exit(7)\ntime.sleep(600)", "failed with exit code 7"),
        ("raise ValueError('of a plugin')", "(?s)failed with exit code 1:.*Traceback.*ValueError: of a plugin"),
        (
            "threading.Thread(target=time.sleep, args=[600]).start()\nraise ValueError('of a plugin')",
            "ValueError: of a plugin",
        ),
    ],
)
def test_a_worker_that_ends_early_is_an_error_at_once(body: str, message: str, start: Any) -> None:
    with start(body) as worker, pytest.raises(SessionError, match=message):
        worker.last_answer()


def test_a_worker_that_dies_while_it_waits(start: Any) -> None:
    def ask_after_its_death() -> None:
        with start("answer(1); os._exit(3)") as worker:
            worker.answer()
            worker._process.wait()
            worker.go_on()

    with pytest.raises(SessionError, match="base failed with exit code 3"):
        ask_after_its_death()


@pytest.mark.parametrize(
    ("error", "kind"),
    [("MissingError", MissingError), ("NotComparableError", MissingError), ("UsageError", UsageError)],
)
def test_an_error_of_the_user_is_only_its_message(error: str, kind: type[Exception], start: Any) -> None:
    with (
        start(f"from ganbench.errors import {error}\nprint('noise')\nraise {error}('the cause')") as worker,
        pytest.raises(kind, match=r"^base: the cause$"),
    ):
        worker.last_answer()


def test_an_injected_slowdown_is_shared_by_the_updates_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Any] = []
    optimizer = importlib.import_module("torch.optim.optimizer")  # torch.optim has no such attribute
    monkeypatch.setattr(optimizer, "register_optimizer_step_pre_hook", hooks.append)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    slow_down(0.12, updates=6)
    start = time.perf_counter()
    for _ in range(6):
        hooks[0]()
    assert 0.12 <= time.perf_counter() - start < 0.3


def test_scores_by_epochs_and_by_images_are_left_to_the_end_of_training() -> None:
    schedule = ("metrics.0.at_epochs=[0, 1]", "metrics.0.at_kimg=[1]", "metrics.0.every_kimg=2")
    metric = without_schedule(load_spec("dcgan-fashion", *schedule).metrics[0])
    assert (metric.at_epochs, metric.at_kimg, metric.every_kimg) == ([], [], None)
    assert without_schedule(metric) == metric


@pytest.mark.slow
def test_a_benchmark_that_diverges_after_its_own_length_is_told_to_be_checked_without_speed(tmp_path: Path) -> None:
    overrides = ["optimizer.generator.lr=3", "optimizer.discriminator.lr=3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganbench.gate.side.Worker", lambda _, request: request)
        request: Any = Side("head").start("time", SessionConfig("saddle-bilinear", overrides, device="cpu"))
    requests: Any = SimpleQueue()
    for _ in range(1000):
        requests.put(worker.GO_ON)
    with pytest.raises(SystemExit, match=r"diverged: .* beyond the benchmark's own length: .*--no-speed"):
        worker.time_windows({**request, "folder": str(tmp_path)}, lambda _: None, requests)


SCHEDULE = '{{name = "{}", start = 1e-3, {}}}'


@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        (SCHEDULE.format("cosine", "end = 0.0"), 1e-3),
        (SCHEDULE.format("linear", "end = 1e-4, kimg = 50"), 1e-4),
        (SCHEDULE.format("step", "factor = 10.0, every_kimg = 10"), 1e3),
    ],
    ids=["cosine", "linear", "step"],
)
def test_the_schedules_of_a_timed_run_keep_their_course_and_then_their_last_value(schedule: str, last: float) -> None:
    overrides = ["training.epochs=1", "checkpoint.every_epochs=1", "checkpoint.every_kimg=1"]
    given = load_spec("sngan-cifar10", *overrides, f"optimizer.generator.lr={schedule}", "metrics=[]")
    own = Length.of(given.training, 60_000)
    config = given.optimizer.generator.options.lr  # type: ignore[attr-defined]
    context = BuildContext(
        data_shape=(3, 32, 32),
        num_classes=10,
        device="cpu",
        cache_dir=Path(),
        seed=0,
        total_steps=own.steps,
        total_images=own.images,
    )
    before = [config.build(context)(images) for images in (0, 30_000, own.images - 1)]
    spec = make_endless(given)
    length = Length.of(spec.training, 60_000)
    endless = config.build(replace(context, total_steps=length.steps, total_images=length.images))
    assert [endless(images) for images in (0, 30_000, own.images - 1)] == pytest.approx(before)
    assert endless(10**12) == before[-1] <= 1.001 * last
    assert check_schedules(spec, replace(context, total_steps=length.steps, total_images=length.images)) == []
    assert Events(spec, length).steps_to_next(0) == length.steps_per_epoch  # no events within, at once


@pytest.mark.parametrize(
    ("metric", "samples"),
    [
        ("{name='fid', features='fashion-cnn'}", 2000),
        ("{name='fid', features='fashion-cnn', num_samples=500}", 500),
        ("{name='kid', features='fashion-cnn', subset_size=5000}", 5000),  # a subset needs as many
    ],
)
def test_a_smoke_run_scores_few_images(metric: str, samples: int) -> None:
    spec = load_spec("dcgan-fashion", f"metrics=[{metric}]")
    (smoke,), (quality,) = (make_complete(spec, {"steps": 40}, targets).metrics for targets in (False, True))
    assert smoke.num_samples == samples
    assert quality == spec.metrics[0].model_copy(update={"at_epochs": []})
