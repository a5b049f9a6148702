"""Runs that a signal interrupts, from before training to the moment when the result is stored."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rich.console import Console
from run_spec import run
from short_epochs import with_small_fashion
from small_run import small_run
from torch import Tensor

from ganbench.plugin.callbacks import Callback, Progress, SampleImages
from ganbench.plugin.registry import Registry
from ganbench.reporting.result_tables import show_result
from ganbench.results.schema import load_result
from ganbench.runtime.checkpoint import Checkpoint, load_checkpoint
from ganbench.runtime.ranks import SINGLE, Ranks
from ganbench.spec.loading import load_stopped_spec
from ganbench.training.run_state import RunState

T = TypeVar("T")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return with_small_fashion()


class SignalAfterFirstWindow(Callback):
    """Presses Ctrl-C, or sends SIGTERM, when the first window of training is over."""

    def __init__(self, number: signal.Signals) -> None:
        self.number: signal.Signals | None = number

    def on_window_end(self, progress: Progress) -> None:
        if self.number is not None:
            os.kill(os.getpid(), self.number)
            self.number = None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_is_stored_and_after_ctrl_c_scored(
    number: signal.Signals, registry: Registry, tmp_path: Path
) -> None:
    handler = signal.getsignal(number)
    result, directory = small_run(
        registry,
        tmp_path / "run",
        ["training.epochs=10000"],
        callback=SignalAfterFirstWindow(number),
        window_seconds=0.01,
    )
    assert result.status == "interrupted"
    assert result.history[-1].images > 0
    scored = result.metrics[0].curve[-1].images == sum(row.images for row in result.history)
    assert scored == (number == signal.SIGINT)  # a sender of SIGTERM does not wait
    assert load_result(directory.path) == result
    assert signal.getsignal(number) is handler


class SignalInLastWindow(Callback):
    """Sends SIGTERM while the last window of training ends."""

    def on_window_end(self, progress: Progress) -> None:
        if progress.step == progress.total_steps:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_is_terminated_before_its_final_scores_is_not_complete(registry: Registry, tmp_path: Path) -> None:
    result, directory = small_run(registry, tmp_path / "run", ["training.steps=2"], callback=SignalInLastWindow())
    assert result.status == "interrupted"
    assert "not scored" in str(result.message)
    resumed, _ = run(load_stopped_spec(directory.path, registry, []), device="cpu", resume=directory.path)
    assert resumed.status == "completed"
    assert resumed.metrics[0].curve[-1].images == sum(row.images for row in resumed.history)


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def send(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def call_in_step(step: int, call: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a function within a step of training."""
    add = RunState.add

    def add_and_call(state: RunState, images: int) -> None:
        add(state, images)
        if state.steps == step:
            call()

    monkeypatch.setattr(RunState, "add", add_and_call)


@pytest.mark.parametrize(
    ("in_step", "in_save"),
    [
        ([INT, INT], []),
        ([TERM, TERM], []),
        ([INT, TERM], []),
        ([TERM, INT], []),
        ([HUP], [HUP, TERM]),
        ([INT], [INT, INT, INT]),
        ([], [TERM]),
    ],
)
def test_repeated_signals_lose_no_training(
    in_step: list[signal.Signals],
    in_save: list[signal.Signals],
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save = Checkpoint.save

    def send_and_save(checkpoint: Checkpoint, path: Path) -> None:
        if checkpoint.progress.steps:
            send(in_save)
        save(checkpoint, path)

    call_in_step(3, lambda: send(in_step), monkeypatch)
    monkeypatch.setattr(Checkpoint, "save", send_and_save)
    result, directory = small_run(registry, tmp_path / "run", ["training.steps=5", "metrics.0.at_epochs=[]"])
    steps = 3 if in_step else 5
    assert (result.status, result.message) == ("interrupted", f"interrupted after step {steps}, and not scored")
    assert load_checkpoint(directory.path / "checkpoint.pt").progress.steps == steps


def test_sigterm_while_a_checkpoint_is_saved_leaves_the_scores_after_it_to_the_resumed_run(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoint.save

    def send_and_save(checkpoint: Checkpoint, path: Path) -> None:
        if checkpoint.progress.steps:
            send([TERM])
        save(checkpoint, path)

    overrides = ["training.epochs=2", "metrics.0.at_epochs=[1]"]
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", send_and_save)
        result, directory = small_run(registry, tmp_path / "run", overrides)
    assert (result.status, result.message) == ("interrupted", "interrupted after step 8, and not scored")
    assert result.metrics == []
    resumed, _ = run(load_stopped_spec(directory.path, registry, []), device="cpu", resume=directory.path)
    assert [point.epoch for point in resumed.metrics[0].curve] == [1, 2]


class OneOfSeveral(Ranks):
    """A rank whose run has others, with which it need not communicate."""

    alone = False  # type: ignore[assignment]

    def average(self, tensors: Sequence[Tensor]) -> None: ...

    def average_gradients(self, parameters: Sequence[Tensor], also: Sequence[Tensor] = ()) -> None: ...

    def all_rows(self, rows: Tensor) -> Tensor:
        return rows

    def all_values(self, value: T) -> list[T]:
        return [value]

    gather = all_values

    def from_first(self, value: T) -> T:
        return value


@pytest.mark.parametrize("ranks", [SINGLE, OneOfSeveral()])
@pytest.mark.parametrize("when", ["in training", "while scores are computed"])
def test_ctrl_c_under_torchrun_stores_the_result_without_scores(
    when: str, ranks: Ranks, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchrun kills the processes half a minute later; scores may take longer."""
    variables = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    for name, value in {"TORCHELASTIC_RUN_ID": "none", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ganbench.training.runner.join_ranks", lambda *_: nullcontext(ranks))
    callback = SignalAfterFirstWindow(INT) if when == "in training" else SendsWhen("evaluating", [INT])
    overrides = ["training.epochs=2", "metrics.0.at_epochs=[]"]
    result, directory = small_run(registry, tmp_path / "run", overrides, callback=callback, window_seconds=1e-9)
    steps = load_checkpoint(directory.path / "checkpoint.pt").progress.steps
    assert (steps < 16) == (when == "in training")
    assert (result.status, result.message) == ("interrupted", f"interrupted after step {steps}, and not scored")
    assert result.metrics == []


def test_a_third_ctrl_c_ends_a_step_that_hangs_and_the_last_checkpoint_is_named(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang() -> None:
        send([INT, INT, INT])
        raise AssertionError("not interrupted")

    call_in_step(3, hang, monkeypatch)
    result, directory = small_run(registry, tmp_path / "run", ["training.steps=5", "metrics.0.at_epochs=[]"])
    message = "interrupted after step 3, and not scored; the last checkpoint is that of step 0"
    assert (result.status, result.message) == ("interrupted", message)
    assert load_checkpoint(directory.path / "checkpoint.pt").progress.steps == 0


def test_sigterm_while_sample_images_are_saved_loses_no_training(registry: Registry, tmp_path: Path) -> None:
    class Preempted(Callback):
        def on_sample_images(self, samples: SampleImages) -> None:
            if samples.images:
                os.kill(os.getpid(), TERM)

    overrides = ["training.epochs=2", "metrics.0.at_epochs=[]", "sample_images.at_epochs=[1]"]
    result, directory = small_run(registry, tmp_path / "run", overrides, callback=Preempted())
    assert result.status == "interrupted"
    assert load_checkpoint(directory.path / "checkpoint.pt").progress.images == 500


class SendsWhen(Callback):
    """Sends itself signals when something begins."""

    def __init__(self, when: str, numbers: list[signal.Signals]) -> None:
        self.when, self.numbers = when, numbers

    def on_status(self, what: str) -> None:
        if what == self.when:
            for number in self.numbers:
                os.kill(os.getpid(), number)


def test_ctrl_c_in_the_warm_up_ends_with_a_result_that_can_be_shown(registry: Registry, tmp_path: Path) -> None:
    callback = SendsWhen("warming up", [signal.SIGINT])
    result, directory = small_run(registry, tmp_path / "my run", callback=callback)
    assert (result.status, result.history) == ("interrupted", [])
    assert load_result(directory.path) == result
    console = Console(file=io.StringIO(), width=200)
    show_result(console, result, directory.path)
    text = console.file.getvalue()
    assert "interrupted after step 0\n" in text
    assert text.count("interrupted after step") == 1
    assert f"resume with: ganbench run --resume '{directory.path}'" in text


@pytest.mark.parametrize("when", ["warming up", "evaluating"])
def test_closing_the_terminal_stores_the_result_even_if_the_signal_is_repeated(
    when: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_losses(*arguments: Any, **more: Any) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("ganbench.reporting.plots.save_losses", save_losses)
    result, directory = small_run(registry, tmp_path / "run", callback=SendsWhen(when, [signal.SIGHUP]))
    assert result.status == "interrupted"
    assert load_result(directory.path) == result


def test_signals_are_ignored_while_the_result_is_stored(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_losses(*arguments: Any, **more: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)

    monkeypatch.setattr("ganbench.reporting.plots.save_losses", save_losses)
    result, directory = small_run(registry, tmp_path / "run", ["training.steps=1"])
    assert result.status == "completed"
    assert load_result(directory.path) == result


def test_a_signal_that_is_ignored_stays_ignored(registry: Registry, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        callback = SendsWhen("warming up", [signal.SIGHUP])
        result, _ = small_run(registry, tmp_path / "run", ["training.steps=1"], callback=callback)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.status == "completed"


def test_sigterm_before_training_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    class Preempted(Callback):
        def on_status(self, what: str) -> None:
            if what == "loading data":
                os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        small_run(registry, tmp_path / "run", callback=Preempted())
    assert signal.getsignal(signal.SIGTERM) is handler
    assert not (tmp_path / "run").exists()
