"""Clocks, windows and the warm-up."""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext

import pytest
import torch
from conftest import SMALL

from ganbench.registry import Registry
from ganbench.result import Window
from ganbench.spec import load_spec
from ganbench.training.checkpoint import capture_state, restore_state
from ganbench.training.data import make_batches
from ganbench.training.seeds import stream
from ganbench.training.step import TURNS, TrainingStep
from ganbench.training.timing import WINDOW_SECONDS, TrainingClock, spread, windows_in

CPU = torch.device("cpu")


@pytest.mark.parametrize("steps", [1, 2, 79, 938])
@pytest.mark.parametrize("step_seconds", [1e-6, 0.03, 0.4, 10.0])
def test_windows_cover_every_step_in_about_equal_parts(steps: int, step_seconds: float) -> None:
    windows = windows_in(steps, step_seconds)
    assert sum(windows) == steps
    assert max(windows) - min(windows) <= 1
    if len(windows) > 1 and step_seconds < WINDOW_SECONDS:
        assert max(windows) * step_seconds == pytest.approx(WINDOW_SECONDS, rel=0.6)


def test_a_window_takes_in_what_happens_in_it_and_nothing_else() -> None:
    clock = TrainingClock(CPU)
    for _ in range(2):
        with clock.window(epoch=1) as count:
            time.sleep(0.02)
            clock.ended("data")
            time.sleep(0.04)
            clock.ended("discriminator")
            count.images += 64
        time.sleep(0.2)  # an evaluation, say
        assert clock.training_seconds == pytest.approx(sum(window.seconds for window in clock.windows))
    assert [window.images for window in clock.windows] == [64, 64]
    assert all(0.06 <= window.seconds < 0.2 for window in clock.windows)
    phases = clock.throughput(warmup_seconds=0, stamp={}).phases
    assert phases["discriminator"] > phases["data"] > phases["generator"] == 0


def break_within_a_window(clock: TrainingClock) -> None:
    with clock.window(epoch=1) as count:
        count.images += 64
        raise RuntimeError


def test_a_window_that_broke_is_not_kept() -> None:
    clock = TrainingClock(CPU)
    with pytest.raises(RuntimeError):
        break_within_a_window(clock)
    with clock.window(epoch=1):
        pass  # no image was counted
    assert clock.windows == []
    assert clock.throughput(warmup_seconds=0, stamp={}).images_per_second is None


def test_throughput_is_the_median_over_windows() -> None:
    clock = TrainingClock(CPU)
    clock.windows = [Window(epoch=1, images=100, seconds=seconds) for seconds in (1.0, 0.5, 10.0)]
    clock.windows.append(Window(epoch=1, images=1, seconds=10.0, whole=False))  # the training ended within it
    throughput = clock.throughput(warmup_seconds=2.5, stamp={})
    assert throughput.images_per_second == spread([100.0, 200.0, 10.0])
    assert throughput.images_per_second.median == 100.0
    assert throughput.seconds_per_kimg == 10.0
    assert throughput.warmup_seconds == 2.5


def test_percentiles_are_interpolated() -> None:
    spread_of_eleven = spread([float(value) for value in range(11)])
    assert (spread_of_eleven.p10, spread_of_eleven.median, spread_of_eleven.p90) == (1.0, 5.0, 9.0)


def test_restoring_makes_the_next_steps_the_same_again(registry: Registry) -> None:
    """What the warm-up rests on: weights, buffers, optimisers and every random stream come back."""
    from ganbench.plugin import BuildContext, DatasetContext

    spec, _ = load_spec("dcgan-fashion", registry, SMALL)
    data = spec.dataset.build(DatasetContext(data_dir=None, cache_dir=None, seed=0))
    context = BuildContext(image_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=None, seed=0)
    networks = spec.model.build(context)
    optimizers = {player: getattr(spec.optimizer, player).build(context) for player in TURNS}
    step = TrainingStep(
        networks, spec.loss.build(context), optimizers, stream(0, "latents"), "fp32", lambda _: nullcontext()
    )
    batches = make_batches(data.train, 64, CPU, stream(0, "order"))

    def three_steps() -> list[float]:
        epoch = batches.epoch()
        return [step(*next(epoch), turn_ended=lambda _: None).g_loss.item() for _ in range(3)]

    three_steps()  # so that the optimisers have a state
    state = capture_state(step, batches)
    untouched = copy.deepcopy(state)
    first = three_steps()
    restore_state(state, step, batches)
    assert three_steps() == first
    restore_state(untouched, step, batches)  # the captured state itself has not moved
    assert three_steps() == first
