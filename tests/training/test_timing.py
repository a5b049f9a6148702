"""Clocks, timing windows and the warm-up."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from conftest import PLUGIN_NAMES, SMALL
from run_spec import run

from ganbench.data.batches import Inputs, ResidentBatches, make_batches
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registry import Registry
from ganbench.results.throughput import GPUReading, Window
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.runtime.rng import make_rng
from ganbench.spec.loading import load_spec
from ganbench.training.arguments import WINDOW_SECONDS
from ganbench.training.state.step_state import restore_state, snapshot_state
from ganbench.training.step import TrainingStep
from ganbench.training.timing import TrainingClock

CPU = torch.device("cpu")


def windows_of_an_epoch(clock: TrainingClock, steps: int) -> list[int]:
    windows = []
    while sum(windows) < steps:
        windows.append(clock.window_steps(steps - sum(windows), WINDOW_SECONDS))
    return windows


@pytest.mark.parametrize("steps", [1, 2, 79, 938])
@pytest.mark.parametrize("step_seconds", [1e-6, 0.03, 0.4, 10.0])
def test_windows_cover_all_steps_in_about_equal_parts(steps: int, step_seconds: float) -> None:
    clock = TrainingClock(CPU)
    clock.step_seconds = step_seconds
    windows = windows_of_an_epoch(clock, steps)
    assert sum(windows) == steps
    assert max(windows) - min(windows) <= 1
    if len(windows) > 1 and step_seconds < WINDOW_SECONDS:
        assert max(windows) * step_seconds == pytest.approx(WINDOW_SECONDS, rel=0.6)


@pytest.mark.parametrize("period", [4, 16, 2000])
@pytest.mark.parametrize("step_seconds", [1e-6, 0.03, 0.4, 10.0])
@pytest.mark.parametrize("begin", [0, 938])  # steps before this epoch
def test_windows_end_with_the_periods_of_lazy_penalties(period: int, step_seconds: float, begin: int) -> None:
    clock = TrainingClock(CPU)
    clock.step_seconds = step_seconds
    ends = [begin]
    while ends[-1] < begin + 938:
        window = clock.window_steps(begin + 938 - ends[-1], WINDOW_SECONDS, period, ends[-1] % period)
        ends.append(ends[-1] + window)
    assert ends[-1] == begin + 938
    if period * step_seconds > 10:  # seconds
        assert {end for end in range(begin, begin + 938) if end % period == 0} <= set(ends)
        assert all((end - start) * step_seconds <= max(4, step_seconds) for start, end in pairwise(ends))
    else:
        assert all(end % period == 0 for end in ends[1:-1])
        assert all((end - start) * step_seconds <= 10 for start, end in pairwise(ends))


def test_windows_adapt_if_the_machine_was_busy_during_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("ganbench.training.timing.perf_counter", lambda: now[0])
    clock = TrainingClock(CPU)
    clock.step_seconds = 2.0  # measured while the machine was busy
    taken = []
    for step_seconds in (2.0, 0.02, 0.02, 0.1):
        with clock.window(epoch=1) as count:
            count.steps = clock.window_steps(1000, WINDOW_SECONDS)
            count.images = 64 * count.steps
            now[0] += step_seconds * count.steps
        taken.append(count.steps)
    assert taken == [1, 1, 100, 100]
    assert clock.window_steps(1000, WINDOW_SECONDS) == 20


def test_training_does_not_depend_on_the_timing_windows(registry: Registry, tmp_path: Path) -> None:
    """Only the timings may differ."""
    spec = load_spec("saddle-quadratic", registry, ["dataset.num_images=8"])
    files, counts = [], []
    for name, window_seconds in (("short", 1e-9), ("long", 1e9)):
        result, _ = run(spec, device="cpu", out=tmp_path / name, window_seconds=window_seconds)
        rows = [{**row.model_dump(), "seconds": None, "images_per_second": None} for row in result.history]
        state = load_checkpoint(tmp_path / name / "checkpoint.pt").state
        files.append((rows, [metric.model_dump() for metric in result.metrics], repr(state["networks"])))
        counts.append(len(result.throughput.windows))
    assert files[0] == files[1]
    assert counts[0] > counts[1] == 4  # of 25 steps, 8 per epoch


def test_the_end_of_the_data_workers_is_within_the_window_that_ends_the_epoch(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch, begun, ended = ResidentBatches.epoch, [], []

    def watched(batches: ResidentBatches) -> Iterator[Inputs]:
        begun.append(len(ended))
        try:
            yield from epoch(batches)
        finally:
            ended.append(len(begun))

    class Watch(Callback):
        def on_window_end(self, progress: Progress) -> None:
            counts.append((len(begun), len(ended)))

    counts: list[tuple[int, int]] = []
    spec = load_spec("saddle-quadratic", registry, ["dataset.num_images=8", "training.batch_size=4"])
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"steps": 6, "epochs": 1})})
    monkeypatch.setattr(ResidentBatches, "epoch", watched)
    run(spec, device="cpu", out=tmp_path / "run", window_seconds=1e-9, callback=Watch())
    of_warm_up = counts[0][0] - 1
    assert [(start - of_warm_up, end - of_warm_up) for start, end in counts] == [
        (1, 0),
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 2),
        (3, 3),
    ]


def test_a_window_includes_only_what_happens_in_it() -> None:
    clock = TrainingClock(CPU)
    for _ in range(2):
        with clock.window(epoch=1) as count:
            time.sleep(0.02)
            clock.on_phase_end("data")
            time.sleep(0.04)
            clock.on_phase_end("discriminator")
            count.images += 64
        time.sleep(0.2)  # for example an evaluation
        assert clock.training_seconds == pytest.approx(sum(window.seconds for window in clock.windows))
    assert [window.images for window in clock.windows] == [64, 64]
    assert all(0.06 <= window.seconds < 0.2 for window in clock.windows)
    assert all(window.dispatch_seconds <= window.seconds for window in clock.windows)
    assert all(window.device_seconds is None and window.gpu is None for window in clock.windows)  # there is no GPU
    phases = clock.phases()
    assert phases["discriminator"] > phases["data"] > phases["generator"] == 0


def break_within_a_window(clock: TrainingClock) -> None:
    with clock.window(epoch=1) as count:
        count.images += 64
        raise RuntimeError


def test_a_window_that_fails_is_not_recorded() -> None:
    clock = TrainingClock(CPU)
    with pytest.raises(RuntimeError):
        break_within_a_window(clock)
    with clock.window(epoch=1):
        pass  # no image was counted
    assert clock.windows == []
    assert clock.rate() is None


def window(images: int, seconds: float, **more: object) -> Window:
    return Window(epoch=1, images=images, seconds=seconds, dispatch_seconds=seconds, device_seconds=None, **more)


def test_rates_weight_windows_by_their_duration() -> None:
    """Many short windows, planned while the machine was slow, do not dominate a run."""
    clock = TrainingClock(CPU)
    clock.windows = [window(64, 64 / 2000) for _ in range(20)] + [window(3000, 10.0), window(3500, 10.0)]
    rate = clock.rate()
    assert rate is not None
    assert (rate.p10, rate.median, rate.p90) == (300.0, 350.0, 350.0)
    assert clock.seconds_per_image() == pytest.approx((20 * 64 / 2000 + 20.0) / (20 * 64 + 6500))


def test_a_window_that_ended_early_is_weighted_by_its_duration() -> None:
    clock = TrainingClock(CPU)
    clock.windows = [window(100, 1.0), window(1, 0.1, complete=False)]
    rate = clock.rate()
    assert rate is not None
    assert rate.median == 100.0
    assert clock.seconds_per_image() == pytest.approx(1.1 / 101)
    clock.windows = []
    assert clock.rate() is clock.seconds_per_image() is None


def test_energy_comes_from_the_windows_that_report_it() -> None:
    clock = TrainingClock(CPU)
    assert clock.joules_per_image() is None
    clock.windows = [
        window(100, 1.0, gpu=GPUReading(joules=joules, sm_clock_mhz=1500, throttled_by=[]))
        for joules in (10.0, 20.0, None, 0.0)  # 0, because the counter had advanced just before
    ]
    assert clock.joules_per_image() == 0.1
    clock.windows = clock.windows[-1:]
    assert clock.joules_per_image() is None


def test_phases_can_be_added_for_all_steps_of_a_window() -> None:
    clock = TrainingClock(CPU)
    clock.add_phases({"data": 0.1, "discriminator": 0.3, "generator": 0.6}, steps=7)
    assert clock.phases() == pytest.approx({"data": 0.1, "discriminator": 0.3, "generator": 0.6})


def test_steps_after_restoring_are_repeated_exactly(registry: Registry) -> None:
    """The warm-up requires it: weights, buffers, optimizers and all random number generators are restored."""
    from ganbench.plugin.registrations import BuildContext, DatasetContext

    spec = load_spec("dcgan-fashion", registry, SMALL)
    data = spec.dataset.build(DatasetContext(data_dir=None, cache_dir=None, seed=0))
    context = BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=None, seed=0)
    networks = spec.model.build(context)
    optimizers = {player: getattr(spec.optimizer, player).build(context) for player in PLAYERS}
    step = TrainingStep(networks, spec.loss.build(context), optimizers, make_rng(0, "latents"), "fp32", PLUGIN_NAMES)
    batches = make_batches(data.train, 64, CPU, make_rng(0, "order"))

    def three_steps() -> list[list[float]]:
        epoch = batches.epoch()
        steps = [step(*batches.load(*next(epoch)), (), on_phase_end=lambda _: None) for _ in range(3)]
        return torch.stack([output.values for output in steps]).tolist()

    three_steps()  # so that the optimizers have state
    state = snapshot_state(step, batches)
    untouched = copy.deepcopy(state)
    first = three_steps()
    restore_state(state, step, batches)
    assert three_steps() == first
    restore_state(untouched, step, batches)  # restoring did not change the saved state itself
    assert three_steps() == first
