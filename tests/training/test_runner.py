"""Complete runs of a small benchmark on real images: their files, and what their numbers depend on."""

from __future__ import annotations

import csv
import io
import os
import random
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from reproducible import reproducible
from rich.console import Console
from short_epochs import SMALL, with_small_fashion

from ganbench import GanbenchError, PluginError, UsageError
from ganbench.errors import GanbenchWarning, describe
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.plugin.registrations import PublishedCurve
from ganbench.plugin.registry import Registry
from ganbench.reporting.result_tables import show_result
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result, load_result
from ganbench.runtime.checkpoint_file import load_checkpoint
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.system import files
from ganbench.training.callbacks import Callbacks
from ganbench.training.runner import run
from ganbench_datasets.fashion_mnist import sources


def small_run(
    registry: Registry, out: Path, overrides: Iterable[str] = (), **arguments: Any
) -> tuple[Result, RunDirectory]:
    spec, reference = load_spec("dcgan-fashion", registry, [*SMALL, *overrides])
    return run(spec, device="cpu", out=out, published_curve=reference, **arguments)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return with_small_fashion()


@pytest.fixture(scope="module")
def two_epochs(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A run of two epochs, each of 7 steps with 64 images and one with 52, with scores and sample images in between."""
    folder = tmp_path_factory.mktemp("two-epochs") / "run"
    overrides = ["training.epochs=2", "metrics.0.at_epochs=[0, 1]", "sample_images.at_epochs=[1]"]
    return small_run(registry, folder, overrides)[0], folder


def test_a_run_writes_all_files_and_they_can_be_opened(two_epochs: tuple[Result, Path], registry: Registry) -> None:
    result, folder = two_epochs
    assert result.status == "completed"
    assert load_result(folder) == load_result(folder / "result.json") == result
    assert sorted(result.artifacts.values()) == [
        "checkpoint.pt",
        "history.csv",
        "losses.png",
        "samples/epoch-0001.png",
        "samples/epoch-0002.png",
        "samples/real.png",
        "spec.toml",
    ]
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "spec.toml", "history.csv", "losses.png", "samples", "checkpoint.pt", "launch.json", ".lock",
    }  # fmt: skip
    for picture in folder.rglob("*.png"):
        with Image.open(picture) as image:
            image.verify()
    assert load_spec(str(folder / "spec.toml"), registry)[0].sha256() == result.spec_sha256
    progress = load_checkpoint(folder / "checkpoint.pt").progress
    assert (progress.steps, progress.images) == (16, 1_000)
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert list(rows[0]) == [
        "epoch", "d_loss", "g_loss", "real_score", "fake_score", "images", "seconds", "images_per_second",
    ]  # fmt: skip


def test_the_result_counts_images_and_time_once(two_epochs: tuple[Result, Path]) -> None:
    result, _ = two_epochs
    throughput = result.throughput
    assert [row.images for row in result.history] == [500, 500]
    assert sum(window.images for window in throughput.windows) == 1_000
    assert sum(row.seconds for row in result.history) == pytest.approx(sum(w.seconds for w in throughput.windows))
    assert throughput.images_per_second is not None
    assert throughput.images_per_second.p10 <= throughput.images_per_second.median <= throughput.images_per_second.p90
    seconds, images = (sum(getattr(window, of) for window in throughput.windows) for of in ("seconds", "images"))
    assert throughput.seconds_per_kimg == pytest.approx(1000 * seconds / images)
    assert sum(throughput.phases.values()) == pytest.approx(1)
    assert throughput.warmup_seconds > 0
    assert result.memory.host_peak_rss_bytes is not None
    assert result.memory.device_peak_bytes is None


def test_numbers_depend_on_the_seed(registry: Registry, tmp_path: Path) -> None:
    first, again, other = (
        reproducible(small_run(registry, tmp_path / name, ["training.steps=4", f"training.seed={seed}"])[0])
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again
    assert first["history"] != other["history"]
    assert first["metrics"][0]["curve"] != other["metrics"][0]["curve"]


def test_scores_and_sample_images_do_not_affect_training(registry: Registry, tmp_path: Path) -> None:
    watched = ["metrics.0.at_epochs=[0, 1]", "metrics.0.generator_mode=train", "sample_images.at_epochs=[0, 1]"]
    length = ["training.steps=12"]  # of 8 in an epoch
    plain, _ = small_run(
        registry, tmp_path / "plain", [*length, "metrics.0.at_epochs=[]", "sample_images.at_epochs=[]"]
    )
    scored, _ = small_run(registry, tmp_path / "scored", [*length, *watched])
    assert reproducible(plain)["history"] == reproducible(scored)["history"]


def test_a_metric_has_a_curve_a_best_value_and_the_real_data_score(two_epochs: tuple[Result, Path]) -> None:
    (fid,) = two_epochs[0].metrics
    assert fid.label == "FID (fashion-cnn)"
    assert [point.epoch for point in fid.curve] == [0, 1, 2]
    assert [point.images for point in fid.curve] == [0, 500, 1_000]
    assert fid.value == fid.curve[-1].value
    assert fid.best.value == min(point.value for point in fid.curve)
    assert 0 < fid.real_data_score < fid.best.value


def test_a_partial_last_epoch_is_a_row_too(registry: Registry, tmp_path: Path) -> None:
    result, _ = small_run(registry, tmp_path / "run", ["training.steps=10", "metrics.0.at_epochs=[]"])
    assert [(row.epoch, row.images) for row in result.history] == [(1, 500), (2, 2 * 64)]


def test_a_budget_ends_training_early_and_the_run_is_complete(registry: Registry, tmp_path: Path) -> None:
    result, _ = small_run(registry, tmp_path / "run", ["training.budget_seconds=0.1", "training.epochs=10000"])
    assert result.status == "completed"
    assert "budget" in str(result.message)
    assert result.metrics[0].curve[-1].images == sum(row.images for row in result.history) > 0


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
    resumed, _ = run(load_stopped_spec(directory.path, registry, [])[0], device="cpu", resume=directory.path)
    assert resumed.status == "completed"
    assert resumed.metrics[0].curve[-1].images == sum(row.images for row in resumed.history)


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


EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


@pytest.mark.parametrize("error", [RuntimeError("the server is down"), SystemExit(1)], ids=["raises", "exits"])
@pytest.mark.parametrize("event", [event for event in EVENTS if event != "on_warning"])
def test_a_callback_that_fails_is_named_and_dropped(
    event: str, error: BaseException, registry: Registry, tmp_path: Path
) -> None:
    calls = []

    class Tracker(Callback):
        pass

    def fail(self: Callback, *arguments: Any) -> None:
        calls.append(event)
        raise error

    setattr(Tracker, event, fail)
    with pytest.warns(GanbenchWarning) as warned:
        result, _ = small_run(registry, tmp_path / "run", ["training.steps=2"], callback=Tracker())
    assert result.status == "completed"
    assert len(calls) == len(warned) == 1
    assert f"Tracker raised in {event}, and the run continues without it: {describe(error)}" in str(warned[0].message)


def test_what_a_callback_draws_at_random_does_not_affect_training(registry: Registry, tmp_path: Path) -> None:
    class Drawing(Callback):
        def on_window_end(self, progress: Progress) -> None:
            torch.rand(7)
            random.random()

    short: Any = {"overrides": ["training.steps=6"], "window_seconds": 1e-9}
    plain, _ = small_run(registry, tmp_path / "plain", **short)
    watched, _ = small_run(registry, tmp_path / "watched", callback=Drawing(), **short)
    assert reproducible(watched) == reproducible(plain)


def test_every_event_is_passed_on(registry: Registry) -> None:
    called = []
    callback = Callback()
    for event in EVENTS:
        setattr(callback, event, lambda *_, event=event: called.append(event))
    passing = Callbacks([callback], torch.device("cpu"))
    for event in EVENTS:
        getattr(passing, event)(*([None] * (2 if event in ("on_score", "on_best") else 1)))
    assert called == EVENTS


@pytest.mark.parametrize("drawing", ["save_losses", "save_grid"])
def test_a_sample_image_that_cannot_be_written_is_a_warning(
    drawing: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = []

    class Watch(Callback):
        def on_warning(self, what: str) -> None:
            warned.append(what)

    def fail(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"ganbench.reporting.plots.{drawing}", fail)
    result, directory = small_run(registry, tmp_path / "run", ["training.steps=1"], callback=Watch())
    assert result.status == "completed"
    assert load_result(directory.path) == result
    assert all((directory.path / name).exists() for name in result.artifacts.values())
    missing = ["losses.png"] if drawing == "save_losses" else ["samples/real.png", "samples/step-000001.png"]
    lost = [text.partition(" could not be written: OSError: [Errno 28]") for text in warned]
    assert [name for name, reason, _ in lost if reason] == missing


def test_a_result_that_cannot_be_written_is_a_clear_failure(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text = files.write_text

    def fill_the_disk(target: Path, text: str) -> None:
        if target.name == "result.json":
            raise OSError(28, "No space left on device")
        write_text(target, text)

    monkeypatch.setattr("ganbench.results.run_directory.write_text", fill_the_disk)
    with pytest.raises(GanbenchError, match=r"^cannot write .*result\.json: No space left on device$"):
        small_run(registry, tmp_path / "run", ["training.steps=1"])


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


def test_a_diverged_run_names_step_and_network(registry: Registry, tmp_path: Path) -> None:
    result, directory = small_run(
        registry,
        tmp_path / "run",
        ["optimizer.generator.lr=1e30", "optimizer.discriminator.lr=1e30", "training.steps=40"],
    )
    assert result.status == "diverged"
    assert "'s loss is nan at step" in str(result.message)
    assert result.history[-1].images > 0
    assert load_result(directory.path) == result


FAILS_AT_STEP_50 = """
from ganbench import LossPlugin, hookimpl

class Failing:
    calls = 0

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]

    def discriminator_loss(self, players, batch):
        self.calls += 1
        if self.calls == 50:
            raise RuntimeError("out of luck")
        return players.discriminate(batch.real).mean(), {}
    def generator_loss(self, players, batch):
        return players.generate(batch).mean(), {}

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="failing", summary="Fails", build=lambda options, context: Failing())]
"""


def test_a_plugin_that_raises_in_training_leaves_a_failed_result(tmp_path: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(FAILS_AT_STEP_50)
    registry = with_small_fashion(plugin)
    with pytest.raises(
        PluginError,
        match=r"after 49 steps: loss 'failing' \(from .*failing.py.*\) raised in discriminator_loss: .* out of luck",
    ):
        small_run(registry, tmp_path / "run", ["loss=failing"])
    result = load_result(tmp_path / "run")
    assert result.status == "failed"
    assert "out of luck" in str(result.message)


def test_state_that_cannot_be_saved_is_reported_before_training(tmp_path: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(FAILS_AT_STEP_50.replace('{"calls": self.calls}', '{"calls": self.calls, "own": type(self)}'))
    registry = with_small_fashion(plugin)
    with pytest.raises(PluginError, match=r"failed after 0 steps: the state of a plugin .* may contain only tensors"):
        small_run(registry, tmp_path / "run", ["loss=failing"])


HOARDING = """
from torch.optim import SGD
from ganbench import OptimizerPlugin, hookimpl

class Hoarding(SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["own"] = range  # not a tensor, number or text
        return super().step(closure)

@hookimpl
def ganbench_optimizers():
    build = lambda options, context: lambda parameters: Hoarding(parameters, lr=1e-3)
    return [OptimizerPlugin(name="hoarding", summary="Keeps a class", build=build)]
"""


def test_optimizer_state_that_cannot_be_saved_is_reported_at_the_first_checkpoint_with_state(tmp_path: Path) -> None:
    (tmp_path / "hoarding.py").write_text(HOARDING)
    registry = with_small_fashion(tmp_path / "hoarding.py")
    own = ["optimizer.generator=hoarding", "training.steps=3"]
    with pytest.raises(PluginError, match=r"failed after 3 steps: the state of a plugin .* may contain only tensors"):
        small_run(registry, tmp_path / "run", own)


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["training.batch_size=501"], "training.batch_size: 501 is more than the 500 images"),
        (["dataset=fashion-mnist", "dataset.source=files"], "not all files found in"),
    ],
)
def test_an_error_before_training_leaves_nothing(
    overrides: list[str], fault: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FULL", replace(sources.FULL, debian_folder=tmp_path / "nowhere"))
    with pytest.raises(GanbenchError, match=fault):
        small_run(registry, tmp_path / "run", overrides)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_write_into_a_folder_in_use(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        small_run(registry, tmp_path / "run", ["training.steps=1"])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_the_published_curve_is_drawn_only_over_the_data_it_was_measured_on(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def save_losses(
        history: Any, title: str, path: Path, published_curve: PublishedCurve | None = None, **more: Any
    ) -> None:
        drawn.append(published_curve)

    monkeypatch.setattr("ganbench.reporting.plots.save_losses", save_losses)
    _, reference = load_spec("dcgan-fashion", registry)
    assert reference is not None
    small_run(registry, tmp_path / "subset", ["training.steps=1", "metrics.0.at_epochs=[]"])
    fingerprint = load_result(tmp_path / "subset").data.fingerprint
    on_full_data = reference.model_copy(update={"data_fingerprint": fingerprint})
    spec, _ = load_spec("dcgan-fashion", registry, [*SMALL, "training.steps=1", "metrics.0.at_epochs=[]"])
    run(spec, device="cpu", out=tmp_path / "full", published_curve=on_full_data)
    assert drawn == [None, on_full_data]
