"""Clocks, windows and the warm-up."""

from __future__ import annotations

import copy
import time

import pytest
import torch
from conftest import CULPRITS, SMALL

from ganbench.registry import Registry
from ganbench.result import GPUReading, Window
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
    assert all(window.dispatch_seconds <= window.seconds for window in clock.windows)
    assert all(window.device_seconds is None and window.gpu is None for window in clock.windows)  # there is no GPU
    phases = clock.phases()
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
    assert clock.rate() is None


def window(images: int, seconds: float, **more: object) -> Window:
    return Window(epoch=1, images=images, seconds=seconds, dispatch_seconds=seconds, device_seconds=None, **more)


def test_throughput_is_the_median_over_whole_windows() -> None:
    clock = TrainingClock(CPU)
    clock.windows = [window(100, seconds) for seconds in (1.0, 0.5, 10.0)]
    clock.windows.append(window(1, 10.0, whole=False))  # the training ended within it
    assert clock.rate() == spread([100.0, 200.0, 10.0])
    assert clock.rate().median == 100.0


def test_energy_is_that_of_the_windows_that_tell_it() -> None:
    clock = TrainingClock(CPU)
    assert clock.joules_per_image() is None
    clock.windows = [
        window(100, 1.0, gpu=GPUReading(joules=joules, sm_clock_mhz=1500, throttled_by=[]))
        for joules in (10.0, 20.0, None)
    ]
    assert clock.joules_per_image() == 0.15


def test_phases_of_steps_that_do_not_tell_are_those_of_the_last_one() -> None:
    clock = TrainingClock(CPU)
    clock.add_phases({"data": 0.1, "discriminator": 0.3, "generator": 0.6}, steps=7)
    assert clock.phases() == pytest.approx({"data": 0.1, "discriminator": 0.3, "generator": 0.6})


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
    step = TrainingStep(networks, spec.loss.build(context), optimizers, stream(0, "latents"), "fp32", CULPRITS)
    batches = make_batches(data.train, 64, CPU, stream(0, "order"))

    def three_steps() -> list[list[float]]:
        epoch = batches.epoch()
        steps = [step(*batches.load(*next(epoch)), ended=lambda _: None) for _ in range(3)]
        return torch.stack([output.values for output in steps]).tolist()

    three_steps()  # so that the optimisers have a state
    state = capture_state(step, batches)
    untouched = copy.deepcopy(state)
    first = three_steps()
    restore_state(state, step, batches)
    assert three_steps() == first
    restore_state(untouched, step, batches)  # the captured state itself has not moved
    assert three_steps() == first
