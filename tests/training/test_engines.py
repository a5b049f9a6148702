"""Engines: a captured step equals an eager one, and the reason is given if a step cannot be captured.

On a CPU, a tape captures steps; with CUDA, the same tests run on CUDA graphs.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from conftest import DEVICES, PLUGIN_NAMES, SMALL
from tape import TapeCapturer
from torch import Tensor
from torch.nn.functional import interpolate

from ganbench import GanbenchError, Networks, Players, UsageError
from ganbench.data.batches import ResidentBatches
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registrations import BuildContext
from ganbench.plugin.registry import Registry
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.runtime.rng import make_rng
from ganbench.spec.loading import load_spec
from ganbench.spec.sections import EngineOptions
from ganbench.training.engines import (
    EagerEngine,
    Engine,
    check_engine,
    choose_engine,
)
from ganbench.training.engines.graph import GraphCaptureError, GraphEngine, as_graph_capture_error
from ganbench.training.engines.selection import make_capturer
from ganbench.training.engines.unordered import unordered_operations
from ganbench.training.penalties import Penalties, WeightedPenalty
from ganbench.training.position import Position
from ganbench.training.state.leaves import distance
from ganbench.training.state.python_state import PythonState
from ganbench.training.state.step_state import restore_state, snapshot_state
from ganbench.training.step import TrainingStep
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_penalties.gradients import r1

BATCH, REMAINDER = 16, 8
START = Position(0, 0)
UNSEEN = "GANBENCH_TEST_COUNTER"


def build(registry: Registry, device: str = "cpu", loss: Any = None, overrides: list[str] = []) -> EagerEngine:  # noqa: B006
    """Return the homework's step with narrow networks, on the embedded subset; `loss` replaces its own if given."""
    spec = load_spec("dcgan-fashion", registry, [*SMALL, *overrides])
    context = BuildContext(data_shape=(1, 28, 28), num_classes=10, device=device, cache_dir=None, seed=0)
    torch.manual_seed(0)
    networks: Networks = spec.model.build(context)
    for player in PLAYERS:
        networks[player].to(device)
    factories = {player: getattr(spec.optimizer, player).build(context) for player in PLAYERS}
    latents = make_rng(0, "latents", device)
    step = TrainingStep(networks, loss or spec.loss.build(context), factories, latents, "fp32", PLUGIN_NAMES)
    return EagerEngine(
        step, ResidentBatches(embedded_subset().train, BATCH, torch.device(device), make_rng(0, "order"))
    )


def capturer(eager: EagerEngine) -> Any:
    return make_capturer(eager.step, None) or TapeCapturer()


def examples(eager: EagerEngine) -> list[tuple[Tensor, ...]]:
    (full_batch,) = next(iter(eager.batches.epoch()))
    return [(full_batch,), (full_batch[:REMAINDER],)]


def trace(engine: Engine, eager: EagerEngine, steps: int) -> list[list[float]]:
    """Return the outputs of some steps, the last with a smaller batch, and then all weights."""
    outputs = []
    inputs = iter(eager.batches.epoch())
    for number in range(steps):
        (indices,) = next(inputs)
        output = engine(
            (indices if number < steps - 1 else indices[:REMAINDER],), Position(number, 0), on_phase_end=lambda _: None
        )
        outputs.append(output.values.tolist())
    weights = [p.flatten().tolist() for player in PLAYERS for p in eager.step.networks[player].parameters()]
    return outputs + weights


class WassersteinWithPenalty:
    """WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, eq. 3): its penalty is differentiated twice."""

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        fake = players.generate(batch)
        mix = torch.rand(len(fake), 1, 1, 1, device=fake.device)
        between = (mix * batch.real + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(players.discriminate(between).sum(), between, create_graph=True)
        penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        distance = players.discriminate(batch.real).mean() - players.discriminate(fake).mean()
        return 10 * penalty - distance, {"distance": distance, "penalty": penalty}

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return -players.discriminate(players.generate(batch)).mean(), {}


class Wrong:
    """A loss that calls `action` in the generator's update."""

    def __init__(self, action: Callable[[Wrong, Tensor], Any]) -> None:
        self.action = action
        self.calls = 0

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return players.discriminate(batch.real).mean(), {}

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss = players.discriminate(players.generate(batch)).mean()
        self.action(self, loss)
        return loss, {}


@pytest.fixture(autouse=True)
def repeatable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(UNSEEN, "0")
    with deterministic_convolutions():
        yield


@pytest.fixture
def on_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow graphs on a CPU, where they are tapes."""
    monkeypatch.setattr("ganbench.training.engines.selection.make_capturer", lambda *_: TapeCapturer())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("loss", [None, WassersteinWithPenalty()], ids=["bce", "wgan-gp"])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_a_captured_step_is_bitwise_identical_to_an_eager_one(
    device: str, loss: Any, optimizer: str, registry: Registry
) -> None:
    eager = build(registry, device, loss, [f"optimizer.{player}={optimizer}" for player in PLAYERS])
    start = snapshot_state(eager.step, eager.batches)
    expected = trace(eager, eager, steps=6)
    graph = GraphEngine(eager, capturer(eager), examples(eager))
    for _ in range(2):  # the first restore is like that after a warm-up
        restore_state(start, eager.step, eager.batches)
        assert trace(graph, eager, steps=6) == expected


@pytest.mark.parametrize("device", DEVICES)
def test_captured_steps_continue_from_any_restored_state(device: str, registry: Registry) -> None:
    """Resumed runs require it: the optimizers' state may be replaced during training."""
    eager = build(registry, device, overrides=["optimizer.generator=sgd", "optimizer.generator.momentum=0.9"])
    trace(eager, eager, steps=3)
    middle = snapshot_state(eager.step, eager.batches)
    expected = trace(eager, eager, steps=4)
    graph = GraphEngine(eager, capturer(eager), examples(eager))
    trace(graph, eager, steps=3)
    restore_state(middle, eager.step, eager.batches)
    assert trace(graph, eager, steps=4) == expected


def test_phases_of_a_replay_are_the_times_between_its_marks(registry: Registry) -> None:
    eager = build(registry)
    start = snapshot_state(eager.step, eager.batches)
    full_batch, smaller = examples(eager)
    graph = GraphEngine(eager, TapeCapturer(), [full_batch, smaller])
    assert graph.graph_memory_bytes == TapeCapturer.graph_memory_bytes
    graph(full_batch, START, on_phase_end=lambda _: None)
    assert graph.last_phases() == {"data": 1.0, "discriminator": 1.0, "generator": 1.0}
    restore_state(start, eager.step, eager.batches)
    graph(full_batch, START, on_phase_end=lambda _: None)  # taken eagerly, so without marks
    assert graph.last_phases() == {}


def choose(
    eager: EagerEngine, verify_steps: int | None = None, total_images: int = 1000, **options: Any
) -> tuple[Engine, Any]:
    start = snapshot_state(eager.step, eager.batches)

    def restore() -> None:
        restore_state(start, eager.step, eager.batches)

    return choose_engine(eager, EngineOptions(**options), examples(eager), restore, verify_steps, total_images)


@pytest.mark.usefixtures("on_tape")
@pytest.mark.parametrize(("verify_steps", "verified"), [(None, 3), (5, 5)])
def test_auto_selects_the_graph_once_it_is_verified(
    verify_steps: int | None, verified: int, registry: Registry
) -> None:
    engine, record = choose(build(registry), verify_steps)
    assert isinstance(engine, GraphEngine)
    assert (record.name, record.verified_steps, record.eager_nondeterminism, record.fallback_reason) == (
        "cuda_graph",
        verified,
        0.0,
        None,
    )


@pytest.mark.usefixtures("on_tape")
def test_a_graph_is_verified_within_the_run(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its end, a schedule may have no valid value."""
    eager, positions = build(registry), list[Position]()
    eager.step.penalties = Penalties([WeightedPenalty(str(every), "r1", r1, 0.1, every) for every in (4, 6)])
    eager.step.penalty_values, eager.step.python_state = torch.zeros(2), PythonState(eager.step)
    monkeypatch.setattr(eager.step.schedules, "set", positions.append)
    _, record = choose(eager, total_images=5 * BATCH)
    assert record.name == "cuda_graph", record.fallback_reason
    assert max(position.steps for position in positions) == 6
    assert max(position.images for position in positions) == 5 * BATCH - 1


@pytest.mark.usefixtures("on_tape")
def test_eager_mode_selects_the_eager_engine(registry: Registry) -> None:
    engine, record = choose(build(registry), mode="eager")
    assert isinstance(engine, EagerEngine)
    assert (record.name, record.requested, record.fallback_reason) == ("eager", "eager", None)


def count_call(loss: Wrong, _: Tensor) -> None:
    loss.calls += 1


def run_out(loss: Wrong, _: Tensor) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


WRONG = {
    "reads": (lambda _, value: value.item(), "RuntimeError: called a synchronizing operation$"),
    "counts": (count_call, "loss.calls changes in Python from step to step, which a CUDA graph would freeze"),
    "draws": (lambda _, __: random.random(), "the random state of Python.* changes in Python"),
    "runs out": (run_out, "not enough memory"),
}


@pytest.mark.usefixtures("on_tape")
@pytest.mark.parametrize(("action", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_step_that_cannot_be_captured_runs_eagerly_and_says_why(
    action: Any, message: str, registry: Registry
) -> None:
    eager = build(registry, loss=Wrong(action))
    engine, record = choose(eager)
    assert engine is eager
    assert (record.name, record.requested) == ("eager", "auto")
    assert re.search(message, record.fallback_reason)


def test_the_line_of_the_plugin_that_failed_in_a_capture_is_named(registry: Registry) -> None:
    eager = build(registry, loss=Wrong(lambda _, value: value.reshape(2)))
    (full_batch, _) = examples(eager)

    def capture() -> None:
        try:
            eager(full_batch, START, on_phase_end=lambda _: None)
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")  # as ending the capture does

    with (
        pytest.raises(
            GraphCaptureError, match=r"^test_engines.py:\d+ in <lambda>: .*value.reshape\(2\).*shape '\[2\]' is"
        ),
        as_graph_capture_error(),
    ):
        capture()


@pytest.mark.usefixtures("on_tape")
@pytest.mark.parametrize("requested", [{"mode": "cuda_graph"}, {"verify_steps": 4}])
def test_a_requested_graph_that_cannot_be_captured_is_an_error(requested: dict[str, Any], registry: Registry) -> None:
    with pytest.raises(
        GanbenchError, match=r"engine cuda_graph: loss.calls changes .* -o engine.mode=eager runs without"
    ):
        choose(build(registry, loss=Wrong(count_call)), **requested)


class Nondeterministic(Wrong):
    """A loss whose scale depends on state that cannot be restored."""

    def __init__(self, next_scale: Callable[[], Any]) -> None:
        super().__init__(lambda _, __: None)
        self.next_scale = next_scale

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss, monitors = super().generator_loss(players, batch)
        return loss * (1 + self.next_scale()), monitors


class HiddenState(Wrong):
    """A loss with state outside Python objects, which only its effect reveals."""

    def __init__(self) -> None:
        super().__init__(lambda _, __: None)

    def state_dict(self) -> dict[str, Any]:
        return {"calls": os.environ[UNSEEN]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        os.environ[UNSEEN] = state["calls"]

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss, monitors = super().generator_loss(players, batch)
        return loss * count_unseen(), monitors


def count_unseen() -> int:
    """Count in an environment variable, which is not a plugin's state."""
    os.environ[UNSEEN] = str(int(os.environ[UNSEEN]) + 1)
    return int(os.environ[UNSEEN])


def jitter(size: float) -> Callable[[], Tensor]:
    """Return noise like that of sums in no fixed order: different each time, even from the same state."""
    return lambda: size * torch.rand((), generator=torch.Generator().manual_seed(count_unseen()))


@pytest.mark.usefixtures("on_tape")
def test_a_slightly_nondeterministic_step_is_captured_and_its_nondeterminism_reported(registry: Registry) -> None:
    engine, record = choose(build(registry, loss=Nondeterministic(jitter(1e-6))))
    assert isinstance(engine, GraphEngine)
    assert 0 < record.eager_nondeterminism < 1e-3


def test_a_graph_that_adds_in_another_order_than_all_eager_runs_is_captured(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, eager runs may add in the same order, which is not fixed, and a graph in another."""

    class OtherOrder(TapeCapturer):
        def capture(self, work: Callable[[], Any]) -> Callable[[], None]:
            with monkeypatch.context() as capturing:
                capturing.setenv(UNSEEN, "1")
                return super().capture(work)

    monkeypatch.setattr("ganbench.training.engines.selection.make_capturer", lambda *_: OtherOrder())
    order = lambda: 1e-6 * int(os.environ[UNSEEN]) + 2e-6 * torch.are_deterministic_algorithms_enabled()  # noqa: E731
    engine, record = choose(build(registry, loss=Nondeterministic(order)))
    assert isinstance(engine, GraphEngine)
    assert 0 < record.eager_nondeterminism < 1e-3
    assert not torch.are_deterministic_algorithms_enabled()


def test_gradients_that_are_only_rounding_errors_do_not_make_runs_distant() -> None:
    """Such as that of a bias before batch norm, which Adam turns into updates of any direction."""
    weight, noise = torch.ones(1000), 1e-9 * torch.randn(4, generator=torch.Generator().manual_seed(0))
    expected = {
        "networks.generator.0.weight": weight,
        "networks.generator.0.bias": 1e-4 * torch.ones(4),
        "optimizers.generator.state.0.exp_avg": weight,
        "optimizers.generator.state.1.exp_avg": noise,
    }
    actual = {
        **expected,
        "networks.generator.0.bias": -1e-4 * torch.ones(4),
        "optimizers.generator.state.1.exp_avg": -noise,
    }
    assert 0 < distance(expected, actual) < 1e-4
    buffer = {"buffers.generator.1.running_mean": 1e-4 * torch.ones(4)}
    negated = {path: -value for path, value in buffer.items()}
    assert distance(expected | buffer, actual | negated) == pytest.approx(2)  # one by one
    assert distance(expected, {**expected, "networks.generator.0.bias": weight}) == float("inf")
    assert distance({"loss": torch.zeros(1)}, {"loss": torch.ones(1)}) == float("inf")
    assert distance({"loss": torch.ones(1)}, {"loss": torch.full((1,), float("nan"))}) == float("inf")


@pytest.mark.usefixtures("on_tape")
@pytest.mark.parametrize(
    ("loss", "verify_steps", "message"),
    [
        (Nondeterministic(jitter(1e-6)), 3, "eager execution is nondeterministic"),  # exact results were requested
        (Nondeterministic(jitter(0.5)), None, "eager execution is nondeterministic"),
        (HiddenState(), None, "gives other results than an eager one: g_loss of step 2 differs"),
    ],
)
def test_a_step_that_is_too_nondeterministic_or_differs_is_not_captured(
    loss: Any, verify_steps: int | None, message: str, registry: Registry
) -> None:
    eager = build(registry, loss=loss)
    try:
        fallback_reason = choose(eager, verify_steps)[1].fallback_reason
    except GanbenchError as error:
        fallback_reason = str(error)
    assert re.search(message, fallback_reason)


def upsampled(mode: str) -> Tensor:
    images = torch.rand(2, 1, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(interpolate(images, scale_factor=2, mode=mode).square().sum(), images)
    return gradient


@pytest.mark.usefixtures("on_tape")
def test_operations_that_a_gpu_adds_in_no_fixed_order_are_named(registry: Registry) -> None:
    assert unordered_operations(lambda: upsampled("bilinear")) == ["upsample_bilinear2d_backward"]
    assert unordered_operations(lambda: upsampled("nearest")) == []
    loss = Nondeterministic(lambda: jitter(0.5)() + 0 * upsampled("bicubic").sum())
    reason = choose(build(registry, loss=loss), None)[1].fallback_reason
    assert reason.endswith("differs); on a GPU, these add in no fixed order: upsample_bicubic2d_backward")


@pytest.mark.parametrize(
    ("options", "verify_steps", "message"),
    [
        ({"mode": "cuda_graph"}, None, "engine.mode: cuda_graph needs a CUDA device"),
        ({}, 3, "--verify-engine compares a CUDA graph"),
        ({"mode": "eager"}, 3, "--verify-engine compares a CUDA graph"),
    ],
)
def test_a_graph_without_cuda_is_refused(options: dict[str, Any], verify_steps: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_engine(EngineOptions(**options), torch.device("cpu"), verify_steps)
