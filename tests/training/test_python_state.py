"""Python state of plugins outside any state_dict: found at any depth, restored, and saved in checkpoints."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PLUGIN_NAMES
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR
from torchmetrics import MeanMetric

from ganbench import Networks, Players
from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.rng import make_rng
from ganbench.testing.stored import through_file
from ganbench.training.first_steps import unrestored_state_warnings, unsaved_state_warnings
from ganbench.training.state.leaves import first_difference, leaves_of, python_values
from ganbench.training.state.measuring import untouched
from ganbench.training.state.python_state import Snapshot, inspect_step
from ganbench.training.state.step_state import restore_state, snapshot_state
from ganbench.training.step import TrainingStep

COUNTS = {"calls": 0}


class Helper:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def count(self) -> None:
        self.calls += 1


class Regularizer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.average = torch.zeros(2)  # a plain attribute, not a buffer

    def count(self) -> None:
        self.average.add_(1)


class InClass:
    calls = 0

    @classmethod
    def count(cls) -> None:
        cls.calls += 1


def in_closure() -> Any:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    return count


def in_global() -> None:
    COUNTS["calls"] += 1


def in_default(calls: list[int] = [0]) -> None:  # noqa: B006
    calls[0] += 1


def into(pool: list[Tensor]) -> None:
    pool.append(torch.ones(1))


class Least:
    """Least squares that counts its calls somewhere."""

    def __init__(self, count: Any) -> None:
        self.count = count

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        self.count()
        return (players.discriminate(batch.real) - 1).square().mean(), {}

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return players.discriminate(players.generate(batch)).mean(), {}


WAYS = {
    "slots of a helper": lambda: Helper().count,
    "a submodule's plain tensor": lambda: Regularizer().count,
    "a class": lambda: InClass.count,
    "a closure": in_closure,
    "a global": lambda: in_global,
    "a default": lambda: in_default,
    "a pool of tensors in a partial": lambda: partial(into, []),
    "an own torch generator": lambda: partial(torch.rand, 1, generator=torch.Generator()),
    "an own Python generator": lambda: random.Random(0).random,
    "an own numpy generator": lambda: partial(np.random.Generator.random, np.random.default_rng(0)),
    "an own legacy numpy generator": lambda: np.random.RandomState(0).rand,
}


def descend(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.1)


def step_of(loss: Any, factory: Any = descend, generator: nn.Module | None = None) -> TrainingStep:
    torch.manual_seed(0)
    generator = generator or nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, (1, 2, 2)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    networks = Networks(generator, discriminator, latent_dim=3)
    return TrainingStep(networks, loss, dict.fromkeys(PLAYERS, factory), make_rng(0, "latents"), "fp32", PLUGIN_NAMES)


BATCHES: Any = SimpleNamespace(order=make_rng(0, "order"), flips=None)
REAL, LABELS = torch.zeros(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64)


def take(step: TrainingStep, steps: int = 1) -> None:
    for _ in range(steps):
        step(REAL, LABELS, (), on_phase_end=lambda _: None)


@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS.keys())
def test_a_count_is_found_restored_and_saved_wherever_it_is(make: Any) -> None:
    step = step_of(Least(make()))
    take(step)
    start, state = Snapshot(step), snapshot_state(step, BATCHES)
    still = python_values(step)
    take(step)
    # torch's in-place operations do not move a tensor, so a captured step may use it
    moves_in_place = make is WAYS["a submodule's plain tensor"]
    assert (first_difference(still, python_values(step)) is None) == moves_in_place
    assert start.changed()
    restore_state(state, step, BATCHES)
    assert not start.changed()
    assert not step.python_state.lost()


@pytest.mark.parametrize(
    "name", ["slots of a helper", "a submodule's plain tensor", "a closure", "an own numpy generator"]
)
def test_the_state_can_be_loaded_into_a_new_step(name: str) -> None:
    first, second = (step_of(Least(WAYS[name]())) for _ in range(2))
    take(first, 3)
    restore_state(snapshot_state(first, BATCHES), second, BATCHES)
    take(first)
    take(second)
    state, other = (leaves_of(snapshot_state(step, BATCHES)["python"]) for step in (first, second))
    assert first_difference(state, other) is None


class Lazy(Least):
    """Creates a random number generator in its first call, and fills a list and a queue."""

    def __init__(self, make: Any) -> None:
        super().__init__(self.draw)
        self.make = make
        self.rng: Any = None
        self.others: list[Any] = []
        self.drawn: deque[float] = deque()

    def draw(self) -> None:
        if self.rng is None:
            self.rng = self.make()
            self.others.append(self.make())
            self.drawn = deque(maxlen=2)
        for rng in (self.rng, *self.others):
            draw = torch.rand(1, generator=rng).item() if isinstance(rng, torch.Generator) else rng.random()
            self.drawn.append(draw)


@pytest.mark.parametrize(
    "make",
    [
        torch.Generator,
        random.Random,
        np.random.default_rng,
        partial(np.random.RandomState, 3),
        lambda: np.random.Generator(np.random.Philox(3)),
    ],
    ids=["torch", "Python", "numpy", "numpy's legacy one", "numpy's Philox"],
)
def test_a_random_number_generator_that_is_created_in_the_first_call_is_resumed(make: Any) -> None:
    first, second = (step_of(Lazy(make)) for _ in range(2))
    take(first, 3)
    restore_state(through_file(snapshot_state(first, BATCHES)), second, BATCHES)
    take(first, 2)
    take(second, 2)
    assert second.loss.drawn == first.loss.drawn  # type: ignore[attr-defined]
    assert second.loss.drawn.maxlen == 2  # type: ignore[attr-defined]


class Biased(random.Random):
    """A generator of a plugin's own class, which ganbench cannot create."""


def test_a_random_number_generator_of_an_own_class_is_a_warning() -> None:
    step = step_of(Lazy(Biased))
    take(step)
    warnings = unsaved_state_warnings(step, inspect_step(step))
    assert [each for each in warnings if "loss.rng changes in training, and a checkpoint cannot contain it" in each]


def test_a_random_number_generator_of_an_own_class_that_is_built_is_resumed() -> None:
    def built() -> tuple[TrainingStep, Biased]:
        loss: Any = Least(lambda: loss.rng.random())
        loss.rng = Biased(1)
        return step_of(loss), loss.rng

    (first, drawn), (second, resumed) = built(), built()
    take(first)
    assert unsaved_state_warnings(first, inspect_step(first)) == []
    second.python_state.load_state_dict(first.python_state.state_dict())
    assert drawn.random() == resumed.random()


class Averaging(Least):
    """Changes a tensor in place, saves it itself, and loads another tensor."""

    def __init__(self) -> None:
        super().__init__(self.note)
        self.mean = torch.zeros(1)

    def note(self) -> None:
        self.mean.lerp_(torch.ones(1), 0.1)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean = state["mean"]


@dataclass
class Record:
    number: int


class Remembering(Least):
    """Keeps objects, which it saves as numbers and loads as new objects."""

    def __init__(self) -> None:
        super().__init__(self.note)
        self.records: list[Record] = []

    def note(self) -> None:
        self.records = [*self.records, Record(len(self.records))]

    def state_dict(self) -> dict[str, Any]:
        return {"records": [record.number for record in self.records]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.records = [Record(number) for number in state["records"]]


class WithExtraState(nn.Module, Least):
    """A module that saves such objects as its extra state."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        Least.__init__(self, self.note)
        self.records: list[Record] = []

    note = Remembering.note
    get_extra_state = Remembering.state_dict
    set_extra_state = Remembering.load_state_dict


class Iterating(Least):
    """Has an iterator, whose position only the loss can restore, in a new one."""

    def __init__(self) -> None:
        super().__init__(self.note)
        self.numbers = count()

    def note(self) -> None:
        next(self.numbers)

    def state_dict(self) -> dict[str, Any]:
        return {"next": int(repr(self.numbers).removeprefix("count(").removesuffix(")"))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.numbers = count(state["next"])


class Buffered(nn.Module, Least):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        Least.__init__(self, self.note)
        self.register_buffer("mean", torch.zeros(1))

    note = Averaging.note


@pytest.mark.parametrize("make", [Averaging, Remembering, WithExtraState, Iterating, Buffered])
def test_state_that_a_loss_saves_itself_is_restored_resumed_and_left_alone_by_scores(make: Any) -> None:
    step, resumed = step_of(make()), step_of(make())
    before, cold, warnings = Snapshot(step), snapshot_state(step, BATCHES), []
    mean = getattr(step.loss, "mean", None)
    take(step, 2)
    assert unsaved_state_warnings(step, inspect_step(step)) == []
    restore_state(cold, step, BATCHES)
    assert first_difference(leaves_of(cold), leaves_of(snapshot_state(step, BATCHES))) is None
    assert getattr(step.loss, "mean", None) is mean  # which a CUDA graph may have captured
    assert unrestored_state_warnings(step, before) == []
    take(step, 3)
    warm = snapshot_state(step, BATCHES)
    with untouched(step, BATCHES, warnings.append):
        step.loss.note()
    assert first_difference(leaves_of(warm), leaves_of(snapshot_state(step, BATCHES))) is None
    assert warnings == []
    restore_state(through_file(warm), resumed, BATCHES)
    for each in (step, resumed):
        take(each)
    states = (leaves_of(snapshot_state(each, BATCHES)) for each in (step, resumed))
    assert first_difference(*states) is None


def test_a_scheduler_in_a_hook_is_found_and_saved() -> None:
    def scheduled(parameters: Any) -> SGD:
        optimizer = SGD(parameters, lr=1.0)
        scheduler = StepLR(optimizer, step_size=2)
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
        return optimizer

    step = step_of(Least(lambda: None), scheduled)
    take(step)
    state, start = snapshot_state(step, BATCHES), Snapshot(step)
    still = python_values(step)
    take(step, 3)
    assert first_difference(still, python_values(step)) is not None
    assert any("last_epoch" in path for path in start.changed())
    restore_state(state, step, BATCHES)
    assert not start.changed()


def test_state_belongs_to_the_process_by_where_it_is_and_not_by_its_name() -> None:
    """A plugin may import a module that is called `loss`."""
    helper: dict[str, Any] = {"__name__": "loss"}
    exec("COUNTS = [0]\ndef count(calls=[0]):\n    COUNTS[0] += 1\n    calls[0] += 1\n", helper)

    class Counted(Least):
        calls = 0

        def __init__(self) -> None:
            super().__init__(helper["count"])
            self.own = [0]

    places = inspect_step(step_of(Counted())).places
    of_process = {path for path, place in places.items() if place.of_process}
    assert "loss.COUNTS" in of_process
    assert any(path.endswith("Counted.calls") for path in of_process)
    assert "loss.own" not in of_process


def test_objects_that_cannot_be_inspected_are_named() -> None:
    numbers = iter([1, 2, 3, 4])
    step = step_of(Least(lambda: next(numbers)))
    assert inspect_step(step).iterators == ["loss.count.numbers"]


class Replacing(Least):
    def __init__(self) -> None:
        super().__init__(self.replace)

    def replace(self) -> None:
        self.helper = Helper()


class ReplacingModule(nn.Module, Least):
    """Its `state_dict` is that of every module, which does not contain the object."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        Least.__init__(self, self.replace)

    replace = Replacing.replace


class ReplacingModuleWithMonitor(ReplacingModule):
    """A module in it has a `state_dict` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.monitor = MeanMetric()


@pytest.mark.parametrize("make", [Replacing, ReplacingModule, ReplacingModuleWithMonitor])
def test_state_that_cannot_be_saved_is_named(make: Any) -> None:
    step = step_of(make())
    take(step)
    assert step.python_state.lost() == ["loss.helper"]


def test_a_buffer_created_in_the_first_forward_pass_is_removed_and_restored() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 4)

        def forward(self, latent: Tensor) -> Tensor:
            if not hasattr(self, "code"):
                self.register_buffer("code", torch.ones(len(latent), 4))
            return (self.linear(latent) + self.code).unflatten(1, (1, 2, 2))

    step, other = step_of(Least(lambda: None), generator=Late()), step_of(Least(lambda: None), generator=Late())
    cold = snapshot_state(step, BATCHES)
    take(step)
    warm = snapshot_state(step, BATCHES)
    restore_state(cold, step, BATCHES)
    assert not hasattr(step.networks.generator, "code")
    restore_state(warm, other, BATCHES)
    assert torch.equal(other.networks.generator.code, torch.ones(4, 4))
    assert "code" in other.networks.generator.state_dict()


def test_a_buffer_that_a_helper_of_the_loss_created_is_a_buffer_in_a_resumed_run() -> None:
    class Late(nn.Module):
        def count(self) -> None:
            if not hasattr(self, "code"):
                self.register_buffer("code", torch.zeros(1))
            self.code.add_(1)

    step, resumed = step_of(Least(Late().count)), step_of(Least(Late().count))
    take(step, 2)
    restore_state(snapshot_state(step, BATCHES), resumed, BATCHES)
    (code,) = resumed.loss.count.__self__.buffers()
    assert code.item() == 2
