"""Seeds that are trained at once: each equals its own run, whatever happens to another.

On a CPU, a tape takes the place of a CUDA graph.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from callbacks import AtStep, StopAt, press_ctrl_c
from conftest import DEVICES
from reproducible import reproducible
from short_epochs import SMALL, with_small_fashion
from tape import TapeCapturer

from ganbench import GanbenchError, PluginError, Registry, UsageError
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.results.schema import MetricPoint, Result, load_result
from ganbench.runtime.checkpoint_file import load_checkpoint
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.training.engines.verification import first_difference, flatten
from ganbench.training.run_state import RunState
from ganbench.training.runner import run
from ganbench.training.seeds import run_at_once
from ganbench.training.timing import TrainingClock

SCORED = [*SMALL, "training.epochs=2", "metrics.0.at_epochs=[0, 1]", "sample_images.at_epochs=[1]"]
SEEDS = (1, 2)

# the loss draws from every default generator, and takes a step at a time if it is captured
LOSS = """
import ganbench, torch
from ganbench_losses.bce import BinaryCrossEntropy

class Noisy(BinaryCrossEntropy):
    def generator_loss(self, players, batch):
        loss, monitors = super().generator_loss(players, batch)
        noise = torch.rand((), device=loss.device)
        return loss * (1 + 0.1 * noise), {**monitors, "noise": noise}

@ganbench.hookimpl
def ganbench_losses():
    return [ganbench.LossPlugin(name="noisy", summary="Noisy", build=lambda options, context: Noisy())]
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    file = tmp_path_factory.mktemp("plugin") / "noisy.py"
    file.write_text(LOSS)
    return with_small_fashion(file)


@pytest.fixture(scope="module", autouse=True)
def captured_on_a_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        if not torch.cuda.is_available():
            patched.setattr("ganbench.training.engines.selection.make_capturer", lambda *_: TapeCapturer())
        yield


def specs(registry: Registry, overrides: Sequence[str]) -> list[BenchmarkSpec]:
    changes = [[*SCORED, f"training.seed={seed}", *overrides] for seed in SEEDS]
    return [load_spec("dcgan-fashion", registry, change)[0] for change in changes]


def at_once(
    registry: Registry,
    overrides: Sequence[str] = (),
    displays: Sequence[Callback] = (Callback(), Callback()),
    device: str = "cpu",
    **arguments: Any,
) -> list[Result | GanbenchError]:
    folders = [Path("at-once") / str(seed) for seed in SEEDS]
    return run_at_once(specs(registry, overrides), folders, displays, device=device, **arguments)


def alone(registry: Registry, folder: Path, overrides: Sequence[str] = (), device: str = "cpu") -> Path:
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
    assert first_difference(flatten(shared.state), flatten(own.state)) is None


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("overrides", [[], ["loss=noisy", "training.horizontal_flips=true", "data.max_resident_mib=0"]])
def test_each_seed_equals_its_own_run(overrides: list[str], device: str, registry: Registry) -> None:
    own_runs = alone(registry, Path("alone"), overrides, device)
    results = at_once(registry, overrides, device=device)
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, Result)
        assert result.status == "completed"
        assert result.throughput.engine.name == "cuda_graph"
        require_equal(seed, own_runs)
    assert len({result.history[-1].d_loss for result in results}) == len(SEEDS)


def test_speed_is_marked_as_shared_and_what_cannot_be_told_apart_is_missing(registry: Registry) -> None:
    for result in at_once(registry, ["training.epochs=1"]):
        assert isinstance(result, Result)
        assert result.throughput.disturbed
        assert "1 other run in the same process" in (result.throughput.disturbed_by or "")
        assert result.memory.device_peak_bytes is result.memory.host_peak_rss_bytes is None
        assert result.throughput.joules_per_image is None


def test_without_a_cuda_graph_they_are_trained_one_after_another(registry: Registry, own_runs: Path) -> None:
    seeds = []

    class Order(Callback):
        def __init__(self, seed: int) -> None:
            self.seed = seed

        def on_window_end(self, progress: Progress) -> None:
            seeds.append(self.seed)

    results = at_once(registry, ["engine.mode=eager"], [Order(seed) for seed in SEEDS], window_seconds=1e-6)
    assert seeds == sorted(seeds)
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, Result)
        assert "same process" not in (result.throughput.disturbed_by or "")
        assert result.memory.host_peak_rss_bytes
        require_equal(seed, own_runs)


def test_nothing_else_happens_in_the_window_of_another(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []  # the number of open windows whenever one begins
    scored: list[int] = []
    open_now = 0
    window = TrainingClock.window

    @contextmanager
    def counted(self: TrainingClock, epoch: int) -> Iterator[Any]:
        nonlocal open_now
        with window(self, epoch) as count:
            open_now += 1
            opened.append(open_now)
            yield count
        open_now -= 1

    class Scores(Callback):
        def on_score(self, label: str, point: MetricPoint) -> None:
            scored.append(open_now)

    monkeypatch.setattr(TrainingClock, "window", counted)
    at_once(registry, displays=[Scores(), Scores()])
    assert set(opened) == {1, 2}
    assert opened.count(1) == opened.count(2)  # all windows are open at the same time
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
        assert result.metrics[0].curve[-1].images == result.images  # it was scored
        spec, _ = load_stopped_spec(Path("at-once") / str(seed), registry)
        resumed, _ = run(spec, device="cpu", resume=Path("at-once") / str(seed))
        assert "same process" in (resumed.throughput.disturbed_by or "")  # some of its windows were
        require_equal(seed, own_runs)


def test_a_second_ctrl_c_and_sigterm_leave_checkpoints(registry: Registry) -> None:
    for press in (press_twice, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        results = at_once(registry, displays=[AtStep(3, press), Callback()], window_seconds=1e-6)
        for seed, result in zip(SEEDS, results, strict=True):
            assert isinstance(result, Result)
            assert result.status == "interrupted"
            steps = load_checkpoint(Path("at-once") / str(seed) / "checkpoint.pt").progress.steps
            assert steps > 0 or press is press_twice  # which does not wait for the end of a step
        shutil.rmtree("at-once")


def press_twice() -> None:
    press_ctrl_c()
    press_ctrl_c()


def test_an_error_before_training_leaves_no_files(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"training\.batch_size"):
        at_once(registry, ["training.batch_size=501"])
    assert not Path("at-once").exists()
