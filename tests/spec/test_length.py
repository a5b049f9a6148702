"""The length of a run and the steps after which events are due, also within an epoch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from callbacks import StopAt
from linear_gan import OVERRIDES, plugin
from run_spec import run

from ganbench import Networks, PluginError
from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result
from ganbench.scoring.evaluation import Evaluator
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.length import Events, Length
from ganbench.spec.loading import load_spec, load_stopped_spec


def spec_of(registry: Registry, *overrides: str) -> BenchmarkSpec:
    return load_spec("dcgan-fashion", registry, overrides)


def length_of(registry: Registry, train_images: int, *overrides: str) -> Length:
    return Length.of(spec_of(registry, *(f"training.{each}" for each in overrides)).training, train_images)


@pytest.mark.parametrize(
    ("overrides", "steps", "images"),
    [
        (["batch_size=50"], 40, 2_000),
        (["batch_size=64"], 32, 2_000),  # 15 of 64 and one of 40, twice
        (["batch_size=64", "drop_last=true"], 30, 1_920),
        (["batch_size=50", "drop_last=true"], 40, 2_000),
        (["batch_size=64", "discriminator_steps=5"], 8, 2_000),  # 3 of 320 and one of 40
        (["batch_size=64", "discriminator_steps=5", "drop_last=true"], 6, 1_920),
        (["batch_size=1000"], 2, 2_000),
    ],
    ids=["even", "rest", "rest skipped", "even, nothing skipped", "five updates", "five, rest skipped", "one step"],
)
def test_the_number_of_steps_in_two_epochs(overrides: list[str], steps: int, images: int, registry: Registry) -> None:
    length = length_of(registry, 1_000, *overrides, "epochs=2")
    assert (length.steps, length.images) == (steps, images)
    assert length.steps_per_epoch == steps / 2
    assert length.images_per_epoch == images / 2


def test_a_run_may_end_within_an_epoch(registry: Registry) -> None:
    length = length_of(registry, 1_000, "batch_size=64", "steps=20")
    assert (length.steps, length.images) == (20, 1_000 + 4 * 64)


def images_by_counting(length: Length) -> list[int]:
    """Return the images shown after each step from 0 on, by adding up those of each step."""
    images, shown = [0], 0
    for step in range(length.steps):
        left = length.images_per_epoch - step % length.steps_per_epoch * length.images_per_step
        shown += min(length.images_per_step, left)
        images.append(shown)
    return images


LENGTHS = [
    ["batch_size=64"],
    ["batch_size=64", "drop_last=true"],
    ["batch_size=7", "discriminator_steps=3"],
    ["batch_size=50"],
]


@pytest.mark.parametrize("overrides", LENGTHS, ids=" ".join)
def test_images_after_a_step_are_the_sum_over_the_steps(overrides: list[str], registry: Registry) -> None:
    length = length_of(registry, 330, *overrides, "epochs=3")
    assert [length.images_after(step) for step in range(length.steps + 1)] == images_by_counting(length)


@pytest.mark.parametrize("overrides", LENGTHS, ids=" ".join)
def test_steps_for_a_number_of_images_is_the_first_step_that_reaches_it(
    overrides: list[str], registry: Registry
) -> None:
    length = length_of(registry, 330, *overrides, "epochs=3")
    shown = images_by_counting(length)
    for images in range(length.images + 1):
        first = next(step for step, sum_ in enumerate(shown) if sum_ >= images)
        assert length.steps_for(Fraction(images)) == first, images


def test_an_event_at_an_epoch_is_after_its_last_step_even_if_that_is_smaller(registry: Registry) -> None:
    length = length_of(registry, 330, "batch_size=64", "epochs=3")  # 5 of 64 and one of 10
    assert length.event_steps(at_epochs=[0, 1, 3]) == {0, 6, 18}
    assert length.event_steps(at_kimg=[0.32, 0.321, 0.33, 0.331]) == {5, 6, 7}


@pytest.mark.parametrize(
    ("overrides", "kimg", "steps"),
    [
        (["batch_size=64"], [0, 0.001, 0.064, 0.065, 0.1], {0, 1, 2}),
        (["batch_size=64", "drop_last=true"], [0.32, 0.33, 0.384], {5, 6}),  # 5 of 64 in each epoch
        (["batch_size=16", "discriminator_steps=4"], [0.1, 0.2], {2, 4}),
    ],
)
def test_an_event_at_a_number_of_kimg_may_be_within_an_epoch(
    overrides: list[str], kimg: list[float], steps: set[int], registry: Registry
) -> None:
    length = length_of(registry, 330, *overrides, "epochs=3")
    assert length.event_steps(at_kimg=kimg) == steps


def test_intervals_in_kimg_continue_across_epochs(registry: Registry) -> None:
    length = length_of(registry, 330, "batch_size=64", "epochs=3")  # 990 images
    assert length.event_steps(every_kimg=0.1) == {2, 4, 5, 8, 9, 11, 13, 15, 16}  # 100, 200, ..., 900 images
    assert length.event_steps(every_kimg=0.33) == {6, 12, 18}
    assert length.event_steps(every_kimg=0.495) == {9, 18}
    assert length.event_steps(every_kimg=1.0) == frozenset()
    assert length.event_steps(every_kimg=0.001) == set(range(1, 19))
    assert length.event_steps(every_kimg=1e-12) == set(range(1, 19))  # without iterating over all multiples


@pytest.mark.parametrize(
    ("batch_size", "kimg", "step"), [(100, 16.1, 161), (100, 64.9, 649), (64, 128.448, 2007), (1, 2.007, 2007)]
)
def test_kimg_are_converted_without_rounding_errors(
    batch_size: int, kimg: float, step: int, registry: Registry
) -> None:
    length = length_of(registry, 1_000_000, f"batch_size={batch_size}", f"steps={step}")
    assert length.event_steps(at_kimg=[kimg]) == {step}  # 1000 * 16.1 is 16100.000000000002
    assert length.event_steps(every_kimg=kimg) == {step}


@pytest.mark.parametrize("overrides", LENGTHS, ids=" ".join)
@pytest.mark.parametrize("interval", [1, 7, 64, 100, 165, 330, 331, 990])
def test_every_multiple_of_the_interval_has_a_step(interval: int, overrides: list[str], registry: Registry) -> None:
    length = length_of(registry, 330, *overrides, "epochs=3")
    multiples = range(interval, length.images + 1, interval)
    assert length.event_steps(every_kimg=interval / 1000) == {length.steps_for(Fraction(each)) for each in multiples}


def test_events_after_the_end_are_dropped(registry: Registry) -> None:
    length = length_of(registry, 330, "batch_size=64", "epochs=1")
    assert length.event_steps(at_epochs=[1, 2, 50], at_kimg=[0.33, 0.34, 100]) == {6}


def test_each_kind_of_event_has_its_own_steps(registry: Registry) -> None:
    spec = spec_of(
        registry,
        'metrics=[{name="fid", features="fashion-cnn", at_epochs=[0, 2], id="rare"},'
        ' {name="fid", features="fashion-cnn", at_epochs=[], at_kimg=[0.1], every_kimg=0.5, id="often"}]',
        *("sample_images.at_epochs=[1]", "sample_images.at_kimg=[0.2]", "checkpoint.every_epochs=2"),
        *("checkpoint.every_kimg=0.4", "training.epochs=3"),
    )
    events = Events(spec, Length.of(spec.training, 330))  # of 6 steps an epoch
    assert {step: events.scores(step) for step in range(19) if events.scores(step)} == {
        0: ["rare"],
        2: ["often"],
        9: ["often"],
        12: ["rare"],
    }
    assert [step for step in range(19) if events.sample_images(step)] == [4, 6]
    assert [step for step in range(19) if events.checkpoint(step)] == [8, 12, 15]  # 400 images, epoch 2, 800 images
    visited = [0]
    while visited[-1] < 18:
        visited.append(visited[-1] + events.steps_to_next(visited[-1]))
    assert visited == [0, 2, 4, 6, 8, 9, 12, 15, 18]


def test_without_events_only_epochs_and_the_run_end(registry: Registry) -> None:
    overrides = ["metrics=[]", "sample_images.at_epochs=[]", "training.steps=15"]
    spec = spec_of(registry, *overrides)
    events = Events(spec, Length.of(spec.training, 330))
    assert [events.steps_to_next(step) for step in (0, 4, 6, 12, 14)] == [6, 2, 6, 3, 1]


def losses(result: Result) -> list[tuple[float | None, ...]]:
    return [(row.epoch, row.d_loss, row.g_loss, row.images) for row in result.history]


def saved_images(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "samples").glob("*.png")}


def test_scores_and_sample_images_within_an_epoch_do_not_affect_the_losses(registry: Registry, tmp_path: Path) -> None:
    small = ["dataset.source=embedded", "model.width=2", "training.batch_size=32", "training.steps=7"]
    plain, _ = run(
        spec_of(registry, *small, "metrics=[]", "sample_images.real=0", "sample_images.generated=0"),
        device="cpu",
        out=tmp_path / "plain",
    )
    watched = [
        *("metrics.0.at_epochs=[]", "metrics.0.at_kimg=[0.05, 0.1]", "metrics.0.num_samples=140"),
        *("metrics.0.generator_mode=train", "sample_images.real=0", "sample_images.every_kimg=0.096"),
    ]
    scored, directory = run(spec_of(registry, *small, *watched), device="cpu", out=tmp_path / "scored")
    assert losses(plain) == losses(scored)
    (fid,) = scored.metrics
    assert [(point.images, point.epoch) for point in fid.curve] == [(64, 0.0128), (128, 0.0256), (224, 0.0448)]
    assert len({point.value for point in fid.curve} - {None}) == 3
    names = ["step-000003.png", "step-000006.png", "step-000007.png"]
    assert sorted(saved_images(directory.path)) == names
    assert {f"samples/{name}" for name in names} <= set(scored.artifacts.values())


# linear networks on 40 images: three epochs of 4 steps, of 12, 12, 12 and 4 images
WITHIN = [
    *OVERRIDES,
    *("training.batch_size=12", "training.steps=12", "sample_images.generated=4", "sample_images.at_epochs=[]"),
    'metrics=[{name="fid", features="fashion-cnn", num_samples=20, at_epochs=[], at_kimg=[0.02, 0.06]}]',
    *("sample_images.every_kimg=0.05", "checkpoint.every_kimg=0.03"),
]


class Uninterrupted(NamedTuple):
    """An uninterrupted run with events within epochs."""

    result: Result
    folder: Path


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return plugin(tmp_path_factory.mktemp("plugin"), "")


def trained(linear: Registry, out: Path, **more: Any) -> Result:
    return run(spec_of(linear, *WITHIN), device="cpu", out=out, window_seconds=1e-9, **more)[0]  # a window a step


@pytest.fixture(scope="module")
def uninterrupted(linear: Registry, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    return Uninterrupted(trained(linear, folder), folder)


def test_events_within_epochs_with_a_smaller_last_step_are_at_the_right_images(uninterrupted: Uninterrupted) -> None:
    assert [(row.epoch, row.images) for row in uninterrupted.result.history] == [(1, 40), (2, 40), (3, 40)]
    assert [point.images for point in uninterrupted.result.metrics[0].curve] == [24, 64, 120]
    assert [point.epoch for point in uninterrupted.result.metrics[0].curve] == [0.6, 1.6, 3]
    assert sorted(saved_images(uninterrupted.folder)) == ["epoch-0003.png", "step-000005.png", "step-000010.png"]


def assert_equals_uninterrupted(linear: Registry, folder: Path, uninterrupted: Uninterrupted) -> None:
    """Resume the run in the folder to its end and compare it."""
    result, _ = run(load_stopped_spec(folder, linear, []), device="cpu", resume=folder)
    assert result.status == "completed"
    assert losses(result) == losses(uninterrupted.result)
    assert [metric.model_dump() for metric in result.metrics] == [
        each.model_dump() for each in uninterrupted.result.metrics
    ]
    assert saved_images(folder).items() >= saved_images(uninterrupted.folder).items()


@pytest.mark.parametrize("step", [2, 3, 5, 6], ids=lambda step: f"step {step}")
def test_a_run_resumed_before_an_event_within_an_epoch_equals_an_uninterrupted_one(
    step: int, uninterrupted: Uninterrupted, linear: Registry, tmp_path: Path
) -> None:
    stopped = trained(linear, tmp_path / "run", callback=StopAt(step))
    assert stopped.message == f"interrupted after step {step}"
    assert_equals_uninterrupted(linear, tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("images", [24, 64])
def test_a_run_that_failed_while_scoring_within_an_epoch_is_scored_there_when_resumed(
    images: int, uninterrupted: Uninterrupted, linear: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = Evaluator.evaluate

    def fail(self: Evaluator, networks: Networks, images_done: int, due: Any = None) -> Any:
        if images_done == images:
            raise OSError("the disk with the features is gone")
        return evaluate(self, networks, images_done, due)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "evaluate", fail)
        with pytest.raises(PluginError, match="the disk with the features is gone"):
            trained(linear, tmp_path / "run")
    assert_equals_uninterrupted(linear, tmp_path / "run", uninterrupted)
