"""Seeds that are trained at once: each equals its own run, whatever happens to another.

On a CPU, a tape takes the place of a CUDA graph.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from callbacks import AtStep, StopAt, press_ctrl_c
from conftest import DEVICES
from reproducible import reproducible
from run_spec import run
from short_epochs import SMALL_FASHION, with_small_fashion
from tape import TapeCapturer

from ganbench import GanbenchError, PluginError, Registry, UsageError
from ganbench.plugin.callbacks import Callback
from ganbench.results.schema import MetricPoint, Result, load_result
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.training.arguments import RunArguments
from ganbench.training.engines.selection import make_capturer
from ganbench.training.engines.verification import first_difference, leaves_of
from ganbench.training.interrupt import Interrupt
from ganbench.training.preparation import PreparedRun
from ganbench.training.run_state import RunState
from ganbench.training.runner import prepare_in_memory
from ganbench.training.seeds import run_at_once
from ganbench.training.timing import TrainingClock
from ganbench.training.trial import run_trial

UNSCORED = [*SMALL_FASHION[:2], "training.steps=10", "metrics=[]", "sample_images.real=0", "sample_images.generated=0"]
SCORED = [*SMALL_FASHION, "training.steps=10", "metrics.0.at_epochs=[0, 1]", "sample_images.at_epochs=[1]"]
SEEDS = (1, 2)

# the loss draws from the default generator of the device
LOSS = """
import ganbench, torch
from ganbench_losses.bce import BinaryCrossEntropy

class Noisy(BinaryCrossEntropy):
    def generator_loss(self, players, batch):
        loss, monitors = super().generator_loss(players, batch)
        noise = torch.rand((), device=loss.device)
        return loss * (1 + 0.1 * noise), {**monitors, "noise": noise}

STEPS = torch.zeros(())

class Shared(BinaryCrossEntropy):
    def generator_loss(self, players, batch):
        loss, monitors = super().generator_loss(players, batch)
        return loss * (1 + 0.1 * STEPS.add_(1)), monitors

class Counted(BinaryCrossEntropy):
    calls = 0

    def generator_loss(self, players, batch):
        Counted.calls += 1
        loss, monitors = super().generator_loss(players, batch)
        return loss * Counted.calls, monitors

ONLY = BinaryCrossEntropy()

@ganbench.hookimpl
def ganbench_losses():
    return [
        ganbench.LossPlugin(name="only", summary="Own", build=lambda options, context: ONLY),
    ] + [
        ganbench.LossPlugin(name=made.__name__.lower(), summary="Own", build=lambda options, context, made=made: made())
        for made in (Noisy, Shared, Counted)
    ]
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    file = tmp_path_factory.mktemp("plugin") / "noisy.py"
    file.write_text(LOSS)
    return with_small_fashion(file)


@pytest.fixture(scope="module", autouse=True)
def captured_on_a_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "ganbench.training.engines.selection.make_capturer",
            lambda step, flips: make_capturer(step, flips) or TapeCapturer(),
        )
        yield


def press_twice() -> None:
    press_ctrl_c()
    press_ctrl_c()


def press_three_times() -> None:
    press_twice()
    press_ctrl_c()


def press_terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def specs(registry: Registry, overrides: Sequence[str]) -> list[BenchmarkSpec]:
    changes = [[*overrides, f"training.seed={seed}"] for seed in SEEDS]
    return [load_spec("dcgan-fashion", registry, change) for change in changes]


def at_once(
    registry: Registry,
    overrides: Sequence[str] = UNSCORED,
    displays: Sequence[Callback] = (Callback(), Callback()),
    device: str = "cpu",
    **arguments: Any,
) -> list[Result | GanbenchError]:
    folders = [Path("at-once") / str(seed) for seed in SEEDS]
    return run_at_once(
        specs(registry, overrides), folders, displays, Interrupt(), RunArguments(device=device, **arguments)
    )


def alone(registry: Registry, folder: Path, overrides: Sequence[str] = UNSCORED, device: str = "cpu") -> Path:
    """Train each seed as a run of its own."""
    for seed, spec in zip(SEEDS, specs(registry, overrides), strict=True):
        run(spec, device=device, out=folder / str(seed))
    return folder


@pytest.fixture(scope="module")
def own_runs(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alone(registry, tmp_path_factory.mktemp("alone"))


def require_equal(seed: int, own_runs: Path) -> None:
    """The results and the checkpoint of a seed that was trained at once with others are those of its own run."""
    folders = [parent / str(seed) for parent in (Path("at-once"), own_runs)]
    assert reproducible(load_result(folders[0])) == reproducible(load_result(folders[1]))
    shared, own = (load_checkpoint(folder / "checkpoint.pt") for folder in folders)
    assert first_difference(leaves_of(shared.state), leaves_of(own.state)) is None


@pytest.mark.parametrize("device", DEVICES)
def test_each_seed_equals_its_own_run(device: str, registry: Registry) -> None:
    streamed = ["data.max_resident_mib=0", "data.workers=0"]
    overrides = [*SCORED, "metrics.0.at_epochs=[]", "loss=noisy", "training.horizontal_flips=true", *streamed]
    own_runs = alone(registry, Path("alone"), overrides, device)
    results = at_once(registry, overrides, device=device)
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, Result)
        assert result.status == "completed"
        assert result.throughput.engine.name == "cuda_graph"
        require_equal(seed, own_runs)
    assert len({result.history[-1].d_loss for result in results}) == len(SEEDS)


def test_speed_is_marked_as_shared_and_what_cannot_be_told_apart_is_missing(registry: Registry) -> None:
    for result in at_once(registry):
        assert isinstance(result, Result)
        assert result.throughput.disturbed
        assert "1 other run in the same process" in (result.throughput.disturbed_by or "")
        assert result.memory.device_peak_bytes is result.memory.host_peak_rss_bytes is None
        assert result.throughput.joules_per_image is None


def test_without_a_cuda_graph_a_seed_is_trained_alone(registry: Registry, own_runs: Path) -> None:
    (result,) = at_once(registry, [*UNSCORED, "engine.mode=eager"])
    assert isinstance(result, Result)
    assert "same process" not in (result.throughput.disturbed_by or "")
    assert result.memory.host_peak_rss_bytes
    require_equal(SEEDS[0], own_runs)
    assert not Path("at-once/2").exists()


class Warned(Callback):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.mark.parametrize("loss", ["shared", "counted"])
def test_globals_and_class_attributes_do_not_pass_from_one_seed_to_another(loss: str, registry: Registry) -> None:
    display, overrides = Warned(), [*UNSCORED, f"loss={loss}"]
    (result,) = at_once(registry, overrides, [display, Callback()])
    assert isinstance(result, Result)
    assert "same process" not in (result.throughput.disturbed_by or "")
    shared = [message for message in display.warnings if "belongs to all runs of the process" in message]
    assert [".STEPS changes in training" in message for message in shared] == ([True] if loss == "shared" else [])
    own_runs = alone(registry, Path("alone"), overrides)
    run(specs(registry, overrides)[1], device="cpu", out=Path("at-once/2"))
    for seed in SEEDS:
        require_equal(seed, own_runs)


def test_a_penalty_that_is_a_function_is_trained_at_once(registry: Registry) -> None:
    r1 = ["penalties=[{name='r1', weight=0.1}, {name='r2', weight=0.1, every=2}]"]
    results = at_once(registry, [*UNSCORED, *r1])
    assert [isinstance(result, Result) and result.status for result in results] == ["completed", "completed"]


class Watching(Warned):
    """Notes which of the prepared runs have been freed when the first one ends."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[Any] = []
        self.freed: list[bool] = []

    def prepare(self, *arguments: Any) -> PreparedRun:
        made = prepare_in_memory(*arguments)
        self.prepared.append(weakref.ref(made.step))
        return made

    def on_run_end(self, result: Result) -> None:
        self.freed = [reference() is None for reference in self.prepared]


def test_an_object_that_a_build_returns_again_is_named_and_its_run_freed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Watching()
    monkeypatch.setattr("ganbench.training.seeds.prepare_in_memory", display.prepare)
    (result,) = at_once(registry, [*UNSCORED, "loss=only"], [display, Callback()])
    assert isinstance(result, Result)
    (warning,) = display.warnings
    assert re.match(r"loss 'only' .*: build returns the same object for each run, so seeds are", warning)
    assert display.freed == [False, True]


def test_globals_and_class_attributes_do_not_pass_from_one_trial_to_the_next(registry: Registry) -> None:
    (spec, _) = specs(registry, [*UNSCORED, "loss=counted"])
    assert run_trial(spec, "cpu") == run_trial(spec, "cpu")


def test_a_seed_for_which_memory_does_not_suffice_is_left_for_later(
    registry: Registry, own_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lack in ("ganbench.training.seeds.number_that_fits", "ganbench.training.seeds.prepare_in_memory"):
        with monkeypatch.context() as patched:
            patched.setattr(lack, too_much_for_the_second if lack.endswith("memory") else lambda *_: 1)
            (result,) = at_once(registry)
        assert isinstance(result, Result)
        assert result.status == "completed"
        require_equal(SEEDS[0], own_runs)
        assert not Path("at-once/2").exists()
        shutil.rmtree("at-once")


def too_much_for_the_second(spec: BenchmarkSpec, *arguments: Any) -> PreparedRun:
    if spec.training.seed == SEEDS[1]:
        raise GanbenchError("not enough memory")
    return prepare_in_memory(spec, *arguments)


def test_nothing_else_happens_in_the_window_of_another(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []  # the number of open windows whenever one begins
    scored: list[int] = []
    open_now = 0
    stepped: set[int] = set()  # the numbers of open windows in which there were steps
    window, add = TrainingClock.window, RunState.add

    @contextmanager
    def counted(self: TrainingClock, epoch: int) -> Iterator[Any]:
        nonlocal open_now
        with window(self, epoch) as count:
            open_now += 1
            opened.append(open_now)
            yield count
        open_now -= 1

    def counted_step(self: RunState, images: int) -> None:
        stepped.add(open_now)
        add(self, images)

    class Scores(Callback):
        def on_score(self, label: str, point: MetricPoint) -> None:
            scored.append(open_now)

    monkeypatch.setattr(TrainingClock, "window", counted)
    monkeypatch.setattr(RunState, "add", counted_step)
    at_once(registry, SCORED, displays=[Scores(), Scores()])
    assert opened == [1, 2] * (len(opened) // 2)  # they begin together
    assert stepped == {2}
    assert scored == [0] * 6  # before training, after one epoch, and at the end


@pytest.mark.parametrize("seed", SEEDS)
def test_an_error_of_one_seed_does_not_end_the_others(
    seed: int, registry: Registry, own_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = RunState.add

    def failing(self: RunState, images: int) -> None:
        add(self, images)
        if self.steps == 5 and self.prepared.spec.training.seed == seed:
            raise ValueError("this seed fails")

    with monkeypatch.context() as patched:
        patched.setattr(RunState, "add", failing)
        results = at_once(registry)
    for each, result in zip(SEEDS, results, strict=True):
        if each == seed:
            assert isinstance(result, PluginError)
            assert "the run failed after 5 steps: ValueError: this seed fails" in str(result)
            assert load_result(Path("at-once") / str(each)).status == "failed"
        else:
            require_equal(each, own_runs)


def test_ctrl_c_ends_all_and_each_can_be_resumed_alone(registry: Registry, own_runs: Path) -> None:
    results = at_once(registry, displays=[Callback(), StopAt(3)], window_seconds=1e-6)
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, Result)
        assert result.status == "interrupted"
        spec = load_stopped_spec(Path("at-once") / str(seed), registry)
        resumed, _ = run(spec, device="cpu", resume=Path("at-once") / str(seed))
        assert "same process" in (resumed.throughput.disturbed_by or "")  # some of its windows were
        require_equal(seed, own_runs)


@pytest.mark.parametrize(("press", "scored"), [(press_ctrl_c, True), (press_twice, False), (press_terminate, False)])
def test_all_are_scored_after_ctrl_c_but_not_after_a_second_one_or_sigterm(
    press: Callable[[], None], scored: bool, registry: Registry
) -> None:
    scores: list[float] = []

    class Pressing(AtStep):
        def on_score(self, label: str, point: MetricPoint) -> None:
            scores.append(point.epoch)

    displays = [Pressing(3, press), Pressing(10_000, press)]
    results = at_once(registry, SCORED, displays, window_seconds=1e-6)
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, Result)
        assert result.status == "interrupted"
        steps = load_checkpoint(Path("at-once") / str(seed) / "checkpoint.pt").progress.steps
        assert steps > 0
    assert scores[:2] == [0, 0]
    assert len(scores) == (4 if scored else 2)


def test_a_third_ctrl_c_ends_one_seed_at_once_and_the_others_after_a_step(registry: Registry) -> None:
    results = at_once(registry, displays=[AtStep(3, press_three_times), Callback()], window_seconds=1e-6)
    steps = []
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, Result)
        assert result.status == "interrupted"
        steps.append(load_checkpoint(Path("at-once") / str(seed) / "checkpoint.pt").progress.steps)
    assert steps[0] == 0 < steps[1]


def test_an_interruption_while_a_seed_is_prepared_ends_those_that_have_begun(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for press in (press_ctrl_c, press_terminate):
        pressed = pressing_for_the_second(press)
        monkeypatch.setattr("ganbench.training.seeds.prepare_in_memory", pressed)
        (result,) = at_once(registry)
        assert isinstance(result, Result)
        assert result.status == "interrupted"
        assert not Path("at-once/2").exists()
        shutil.rmtree("at-once")


def pressing_for_the_second(press: Callable[[], None]) -> Callable[..., PreparedRun]:
    def prepare(spec: BenchmarkSpec, *arguments: Any) -> PreparedRun:
        if spec.training.seed == SEEDS[1]:
            press()
        return prepare_in_memory(spec, *arguments)

    return prepare


def test_an_error_before_training_leaves_no_files(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"training\.batch_size"):
        at_once(registry, [*UNSCORED, "training.batch_size=501"])
    assert not Path("at-once").exists()
