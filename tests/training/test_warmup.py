"""The warm-up: its measurements, and that it does not affect training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import UNSCORED
from linear_gan import Noting
from torch.utils.data import TensorDataset

from ganbench import GanbenchError, PluginError
from ganbench.data.batches import make_batches
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registry import Registry
from ganbench.runtime.rng import make_rng
from ganbench.spec.loading import load_spec
from ganbench.training import warmup
from ganbench.training.engines import EagerEngine
from ganbench.training.position import Position
from ganbench.training.preparation import PreparedRun, prepare
from ganbench.training.state.leaves import first_difference, leaves_of
from ganbench.training.state.step_state import snapshot_state
from ganbench.training.warmup import compile_networks, examples_of_each_size, loading_rate, warm_up

CPU = torch.device("cpu")


def prepared(registry: Registry, *overrides: str) -> PreparedRun:
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, *overrides])
    return prepare(spec, CPU, Path(), Callback())


def test_the_warm_up_restores_all_state(registry: Registry, tmp_path: Path) -> None:
    run = prepared(registry, "sample_images.generated=4")
    before = leaves_of(snapshot_state(run.step, run.batches))
    warmed_up = warm_up(run, verify_steps=None, trace=tmp_path / "trace.json")
    assert first_difference(before, leaves_of(snapshot_state(run.step, run.batches))) is None
    assert warmed_up.step_seconds > 0
    assert warmed_up.component_throughput.data_only > warmed_up.component_throughput.compute_only > 0
    assert warmed_up.engine_record.name == "eager"


@pytest.mark.parametrize(
    ("length", "sizes"), [("training.epochs=1", [64, 8]), ("training.steps=78", [64]), ("training.steps=79", [64, 8])]
)
def test_every_batch_size_of_training_is_tried(length: str, sizes: list[int], registry: Registry) -> None:
    examples = examples_of_each_size(prepared(registry, length))
    assert [len(indices) for (indices,) in examples] == sizes


def test_the_loading_rate_counts_the_images_of_smaller_batches(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = TensorDataset(torch.zeros(9, 1, 2, 2, dtype=torch.uint8), torch.zeros(9))
    batches = make_batches(split, 8, CPU, make_rng(0, "order"))
    calls = []
    monkeypatch.setattr(warmup, "mean_seconds", lambda load, _: [calls.append(load()) for _ in range(4)] and 0.5)
    assert loading_rate(batches, CPU) == (8 + 1) / 2 / 0.5


def test_state_bytes_are_those_of_weights_gradients_and_optimizer_state(registry: Registry) -> None:
    run = prepared(registry)
    parameters = sum(p.numel() for player in run.step.trainable.values() for p in player)
    tensors = sum(len(player) for player in run.step.trainable.values())
    warmed_up = warm_up(run, verify_steps=None, trace=None)
    # weight, gradient and Adam's two averages, and a count for each tensor; all in float32, read and written
    assert warmed_up.state_bytes_per_step == 2 * 4 * (4 * parameters + tensors)


@pytest.mark.slow
def test_compiled_networks_train_and_the_time_to_compile_is_reported(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    # traced for forward and backward, but not turned into C++, which takes half a minute and a compiler
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plainly = ["training.epochs=1", "model.dropout=0", *(f"optimizer.{player}=sgd" for player in PLAYERS)]
    run = prepared(registry, "engine.compile=true", *plainly)
    warmed_up = warm_up(run, verify_steps=None, trace=None)
    assert warmed_up.engine_record.compile_seconds > 0
    assert run.step.called.generator is not run.networks.generator
    assert set(run.step.called.generator.parameters()) == set(run.networks.generator.parameters())
    plain = prepared(registry, *plainly)
    uncompiled = warm_up(plain, verify_steps=None, trace=None)
    assert uncompiled.engine_record.compile_seconds is None
    for _ in range(3):  # parameters that are frozen and unfrozen still learn as without compiling
        for each, warmed in ((run, warmed_up), (plain, uncompiled)):
            (indices,) = next(iter(each.batches.epoch()))
            warmed.engine((indices,), Position(0, 0), on_phase_end=lambda _: None)
    for player in PLAYERS:
        for ours, theirs in zip(run.step.trainable[player], plain.step.trainable[player], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_networks_are_compiled_however_many_runs_a_process_has_had(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        compiled[-1] += 1
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 2)
    for width in range(1, 4):
        compiled.append(0)
        run = prepared(registry, "engine.compile=true", f"model.width={width}")
        compile_networks(EagerEngine(run.step, run.batches), examples_of_each_size(run))
    assert len(set(compiled)) == 1
    assert compiled[0] > 0


def test_penalties_whose_updates_are_not_compiled_are_a_warning(registry: Registry) -> None:
    overrides = [*UNSCORED, "engine.compile=true", "penalties=[{name='r1', weight=1.0}]"]
    callback = Noting()
    prepare(load_spec("dcgan-fashion", registry, overrides), CPU, Path(), callback)
    assert [each for each in callback.warnings if "updates with a penalty (r1) run uncompiled" in each]


def test_a_failure_to_compile_does_not_name_the_loss(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no C++ compiler\nand where one looked for it")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: refuse)
    run = prepared(registry, "engine.compile=true", "training.steps=2")
    with pytest.raises(GanbenchError, match=r"torch.compile failed: .*no C\+\+ compiler; -o engine.compile=false"):
        warm_up(run, verify_steps=None, trace=None)


def test_a_monitor_with_the_name_of_a_column_is_refused(registry: Registry) -> None:
    run = prepared(registry, "training.steps=2")
    honest = run.step.loss.generator_loss
    run.step.loss.generator_loss = lambda *both: (honest(*both)[0], {"seconds": honest(*both)[0]})
    with pytest.raises(PluginError, match=r"loss 'bce' .* a monitor is called seconds, which is a column"):
        warm_up(run, verify_steps=None, trace=None)
