"""Complete runs of a small benchmark on real images: their files, and what their numbers depend on."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from reproducible import reproducible
from run_spec import run
from short_epochs import SMALL_FASHION, with_small_fashion
from small_run import small_run

from ganbench.errors import GanbenchWarning, describe
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.plugin.registrations import PublishedCurve
from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result, load_result
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.spec.loading import find_published_curve, load_spec
from ganbench.training.callbacks import Callbacks


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
    assert load_spec(str(folder / "spec.toml"), registry).sha256() == result.spec_sha256
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


def test_the_published_curve_is_drawn_only_over_the_data_it_was_measured_on(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def save_losses(
        history: Any, title: str, path: Path, published_curve: PublishedCurve | None = None, **more: Any
    ) -> None:
        drawn.append(published_curve)

    monkeypatch.setattr("ganbench.reporting.plots.save_losses", save_losses)
    reference = find_published_curve("dcgan-fashion", registry)
    assert reference is not None
    small_run(registry, tmp_path / "subset", ["training.steps=1", "metrics.0.at_epochs=[]"])
    fingerprint = load_result(tmp_path / "subset").data.fingerprint
    on_full_data = reference.model_copy(update={"data_fingerprint": fingerprint})
    spec = load_spec("dcgan-fashion", registry, [*SMALL_FASHION, "training.steps=1", "metrics.0.at_epochs=[]"])
    run(spec, device="cpu", out=tmp_path / "full", published_curve=on_full_data)
    assert drawn == [None, on_full_data]
