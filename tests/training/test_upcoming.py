"""What a run says of itself while it trains: what comes next, the best scores, and the files of sample images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SMALL, UNSCORED
from run_spec import run

from ganbench.plugin.callbacks import Callback, Progress, SampleImages
from ganbench.plugin.registry import Registry
from ganbench.results.schema import MetricPoint
from ganbench.spec.length import Events, Length
from ganbench.spec.loading import load_spec
from ganbench.training.upcoming import upcoming_events

STEPS_PER_EPOCH = 79  # of 64 images each


class Recorder(Callback):
    def __init__(self) -> None:
        self.upcoming: dict[int, dict[str, tuple[float | None, float]]] = {}
        self.seconds_left: dict[int, float] = {}
        self.scores: list[MetricPoint] = []
        self.best: list[MetricPoint] = []
        self.samples: list[SampleImages] = []

    def on_window_end(self, progress: Progress) -> None:
        self.upcoming[progress.step] = {each.name: (each.epoch, each.seconds) for each in progress.upcoming}
        self.seconds_left[progress.step] = progress.seconds_left

    def on_score(self, label: str, point: MetricPoint) -> None:
        self.scores.append(point)

    def on_best(self, label: str, point: MetricPoint) -> None:
        self.best.append(point)

    def on_sample_images(self, samples: SampleImages) -> None:
        assert samples.path.is_file()
        self.samples.append(samples)


@pytest.mark.filterwarnings("ignore::ganbench.ScoreWarning", "ignore:FID")
def test_a_run_says_what_comes_next_which_score_is_best_and_where_its_sample_images_are(
    registry: Registry, tmp_path: Path
) -> None:
    schedule = [
        "training.steps=6", "metrics.0.num_samples=20", "metrics.0.at_epochs=[0]", "metrics.0.at_kimg=[0.192]",
        "sample_images.at_kimg=[0.256]", "checkpoint.every_kimg=0.128",
    ]  # fmt: skip
    spec = load_spec("dcgan-fashion", registry, [*SMALL, *schedule])
    seen = Recorder()
    result, _ = run(spec, device="cpu", out=tmp_path / "run", callback=seen, window_seconds=1e-9)

    def epochs(step: int) -> dict[str, float | None]:
        return {name: epoch for name, (epoch, _) in seen.upcoming[step].items()}

    after = {step: step / STEPS_PER_EPOCH for step in range(6)}
    assert epochs(1) == {"checkpoint": after[2], "score fid": after[3], "sample images": after[4]}
    assert list(epochs(1)) == ["checkpoint", "score fid", "sample images"]
    assert epochs(2) == {"checkpoint": after[3], "score fid": after[3], "sample images": after[4]}  # before the score
    assert epochs(3) == {"checkpoint": after[4], "score fid": None, "sample images": after[4]}
    assert epochs(5) == {"checkpoint": None, "score fid": None, "sample images": None}
    for step, name, steps in ((1, "sample images", 3), (1, "score fid", 2), (3, "score fid", 3)):
        share = seen.upcoming[step][name][1] / seen.seconds_left[step]
        assert share == pytest.approx(steps / (6 - step))
    curve = result.metrics[0].curve
    assert seen.scores == curve
    best_until = [min(curve[: n + 1], key=lambda point: point.value) for n in range(3)]  # type: ignore[arg-type, return-value]
    assert seen.best == [point for point, best in zip(curve, best_until, strict=True) if point is best]
    assert [(each.kind, each.images, each.path.name) for each in seen.samples] == [
        ("real", 0, "real.png"), ("generated", 256, "step-000004.png"), ("generated", 384, "step-000006.png"),
    ]  # fmt: skip


def state_at(step: int, registry: Registry, *overrides: str) -> Any:
    """The state of a run of 10 epochs of 100 steps, each of which has taken 2 s."""
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, *overrides])
    length = Length(steps=1000, steps_per_epoch=100, images_per_step=64, images_per_epoch=6400)
    prepared = SimpleNamespace(
        spec=spec, length=length, events=Events(spec, length), sampler=SimpleNamespace(data_shape=(1, 28, 28))
    )
    clock = SimpleNamespace(training_seconds=2.0 * step)
    return SimpleNamespace(steps=step, images=64 * step, clock=clock, prepared=prepared)


@pytest.mark.parametrize(
    ("seconds_left", "seconds_to_checkpoint", "expected"),
    [
        (1900.0, 600.0, [("sample images", 300.0, 2.0), ("checkpoint", 600.0, None)]),
        (1900.0, 5000.0, [("sample images", 300.0, 2.0), ("checkpoint", 1900.0, None)]),
        (120.0, 600.0, [("sample images", 120.0, None), ("checkpoint", 120.0, None)]),  # a budget ends training earlier
    ],
)
def test_the_end_of_a_budget_comes_before_later_events(
    seconds_left: float, seconds_to_checkpoint: float, expected: list[Any], registry: Registry
) -> None:
    state = state_at(50, registry, "sample_images.at_epochs=[2]")
    events = upcoming_events(state, seconds_left, seconds_to_checkpoint)
    assert [(event.name, event.seconds, event.epoch) for event in events] == expected


def test_a_run_without_sample_images_announces_none(registry: Registry) -> None:
    events = upcoming_events(state_at(50, registry, "sample_images.generated=0"), 1900.0, 600.0)
    assert [event.name for event in events] == ["checkpoint"]
