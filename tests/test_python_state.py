"""What plugins keep in Python: equal seeds give equal numbers, a resumed run equals one that never stopped."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from linear_gan import LATENT, LeastSquares, discriminator, generator, make_eager, own_run, take
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from ganbench import Networks
from ganbench.training.checkpoint import capture_state, restore_state
from ganbench.training.engines import EagerEngine
from ganbench.training.python_state import Snapshot


class Varying(LeastSquares):
    """Its factor is made by a function that remembers something from step to step."""

    def __init__(self, factor: Callable[[], float]) -> None:
        self.factor = factor  # type: ignore[method-assign]


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> float:
        self.calls += 1
        return self.calls


class Slotted:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> float:
        self.calls += 1
        return self.calls


def closure() -> Callable[[], float]:
    calls = 0

    def factor() -> float:
        nonlocal calls
        calls += 1
        return calls

    return factor


def grows(values: Any) -> Callable[[], float]:
    def factor() -> float:
        (values.add if isinstance(values, set) else values.append)(len(values))
        return 1.0 + len(values)

    return factor


def in_dictionary() -> Callable[[], float]:
    state: dict[str, Any] = {"deep": [{"calls": 0}]}

    def factor() -> float:
        state["deep"][0]["calls"] += 1
        state[f"new {len(state)}"] = 1
        return state["deep"][0]["calls"] + len(state)

    return factor


def in_tensor() -> Callable[[], float]:
    def add(tensor: Tensor) -> float:
        return tensor.add_(1).item()

    return partial(add, torch.zeros(()))


def in_array() -> Callable[[], float]:
    array = np.zeros(2)

    def factor() -> float:
        array[1] += 1
        return float(array[1])

    return factor


def in_another_module() -> Callable[[], float]:
    norm = nn.BatchNorm1d(1)

    def factor() -> float:
        return norm(torch.tensor([[1.0], [2.0]])).sum().item() + norm.running_mean.item()

    return factor


class ByClass:
    calls = 0

    @classmethod
    def factor(cls) -> float:
        cls.calls += 1
        return cls.calls


GLOBAL_CALLS = 0


def by_global() -> float:
    global GLOBAL_CALLS
    GLOBAL_CALLS += 1
    return GLOBAL_CALLS


def in_attribute_of_a_function() -> Callable[[], float]:
    def factor() -> float:
        factor.calls = getattr(factor, "calls", 0) + 1  # type: ignore[attr-defined]
        return factor.calls  # type: ignore[attr-defined]

    return factor


def in_arguments() -> Callable[[], float]:
    def factor(history: list[int], *, state: dict[str, int]) -> float:
        history.append(1)
        state["calls"] = len(history)
        return float(sum(history) + state["calls"])

    return partial(factor, [], state={})


def in_defaults() -> Callable[[], float]:
    def factor(history: list[int] = [], *, state: dict[str, int] = {}) -> float:  # noqa: B006
        history.append(1)
        state["calls"] = len(history)
        return float(sum(history) + state["calls"])

    return factor


def bound_method_of_a_tensor() -> Callable[[], float]:
    return partial(torch.zeros(()).add_, 1)


def in_tuple() -> Callable[[], float]:
    pair = (torch.zeros(()), [0])

    def factor() -> float:
        pair[0].add_(1)
        pair[1][0] += 1
        return pair[0].item() + pair[1][0]

    return factor


def draws(rng: Any) -> Callable[[], float]:
    return lambda: float(rng.random())


STATES: dict[str, Callable[[], Callable[[], float]]] = {
    "helper": Counter,
    "slots": Slotted,
    "closure": closure,
    "partial of a method": lambda: partial(Counter.__call__, Counter()),
    "bound method": lambda: Counter().__call__,
    "list": lambda: grows([]),
    "deque": lambda: grows(deque(maxlen=9)),
    "set": lambda: grows(set()),
    "dictionary": in_dictionary,
    "tensor": in_tensor,
    "tuple": in_tuple,
    "arguments": in_arguments,
    "defaults": in_defaults,
    "bound method of a tensor": bound_method_of_a_tensor,
    "bound method of a generator": lambda: random.Random(1).random,
    "bound method of numpy's generator": lambda: np.random.default_rng(1).random,
    "array": in_array,
    "module outside of the networks": in_another_module,
    "class": lambda: ByClass.factor,
    "global": lambda: by_global,
    "function": in_attribute_of_a_function,
    "Python's generator": lambda: draws(random.Random(1)),
    "numpy's generator": lambda: draws(np.random.default_rng(1)),
    "numpy's old generator": lambda: draws(np.random.RandomState(1)),
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test as in a new process."""
    monkeypatch.setattr(ByClass, "calls", 0)
    monkeypatch.setitem(globals(), "GLOBAL_CALLS", 0)


def new_process(make: Callable[[], Any]) -> EagerEngine:
    ByClass.calls = 0
    globals()["GLOBAL_CALLS"] = 0
    return make()


@pytest.mark.parametrize("make", STATES.values(), ids=STATES.keys())
def test_it_is_restored_and_resumed(make: Callable[[], Callable[[], float]]) -> None:
    def build() -> EagerEngine:
        return make_eager(Varying(make()))

    eager = new_process(build)
    start, before = capture_state(eager.step, eager.batches), Snapshot(eager.step)
    first = take(eager, 2)
    assert first[0] != take(eager, 1)[0]
    restore_state(start, eager.step, eager.batches)
    assert not before.changed()
    assert take(eager, 2) == first  # as a warm-up leaves it
    halfway = capture_state(eager.step, eager.batches)
    assert not eager.step.python_state.lost()
    rest = take(eager, 2)
    resumed = new_process(build)
    restore_state(halfway, resumed.step, resumed.batches)
    assert take(resumed, 2) == rest


def scheduled(parameters: Any) -> SGD:
    """An optimizer whose scheduler steps in a hook."""
    optimizer = SGD(parameters, lr=1e-3)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.5)
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    return optimizer


def test_a_scheduler_in_a_step_hook_is_restored_and_resumed() -> None:
    build = partial(make_eager, factory=scheduled)
    eager = build()
    start = capture_state(eager.step, eager.batches)
    first = take(eager, 3)
    restore_state(start, eager.step, eager.batches)
    assert take(eager, 3) == first
    halfway = capture_state(eager.step, eager.batches)
    rest = take(eager, 3)
    resumed = build()
    restore_state(halfway, resumed.step, resumed.batches)
    assert take(resumed, 3) == rest
    assert resumed.step.optimizers["generator"].param_groups[0]["lr"] == 1e-3 * 0.5**6


class Fading(nn.Module):
    """Fades a second layer in."""

    def __init__(self) -> None:
        super().__init__()
        self.old, self.new = generator(), generator()
        self.alpha = 0.0
        self.register_forward_hook(self.note)
        self.seen = 0

    @staticmethod
    def note(module: Any, *_: Any) -> None:
        module.seen += 1

    def forward(self, latent: Tensor) -> Tensor:
        self.alpha = min(1.0, self.alpha + 0.1)
        return torch.lerp(self.old(latent), self.new(latent), self.alpha)


def test_attributes_of_networks_are_restored_and_resumed() -> None:
    def build() -> EagerEngine:
        torch.manual_seed(0)
        return make_eager(networks=Networks(Fading(), discriminator(), LATENT))

    eager = build()
    start = capture_state(eager.step, eager.batches)
    first = take(eager, 2)
    halfway, rest = capture_state(eager.step, eager.batches), take(eager, 2)
    restore_state(start, eager.step, eager.batches)
    assert eager.step.networks.generator.alpha == eager.step.networks.generator.seen == 0
    assert take(eager, 2) == first
    resumed = build()
    restore_state(halfway, resumed.step, resumed.batches)
    assert take(resumed, 2) == rest


FADING = """
class Fading(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.alpha = generator(), 0.0

    def forward(self, latent):
        self.alpha += 0.1
        return self.alpha * self.body(latent)

build_model = lambda options, context: Networks(Fading(), discriminator(), LATENT)
"""


def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    from linear_gan import OVERRIDES, plugin

    from ganbench.spec import load_spec
    from ganbench.training.runner import run

    whole, _ = own_run(tmp_path, FADING, ["training.steps=4"], name="whole")
    own_run(tmp_path, FADING, ["training.steps=2"], name="cut")
    spec, _ = load_spec("dcgan-fashion", plugin(tmp_path, FADING), [*OVERRIDES, "training.steps=4"])
    resumed, _ = run(spec, device="cpu", resume=tmp_path / "cut")
    assert [row.g_loss for row in resumed.history] == [row.g_loss for row in whole.history]


UNWRITABLE = """
class Own:
    pass

class Keeping(LeastSquares):
    def __init__(self):
        self.latest = None

    def factor(self):
        self.latest = Own()
        return 1.0

build_loss = lambda options, context: Keeping()
"""


def test_a_state_that_cannot_be_written_down_is_named_in_a_warning(tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, UNWRITABLE)
    assert any(
        re.match(r"loss 'own' \(from .*own\.py.*\): loss\.latest changes in training, and no checkpoint can keep it", w)
        for w in warnings
    )


def test_an_iterator_is_named() -> None:
    from ganbench.training.warmup import what_is_lost

    eager = make_eager(Varying(partial(next, count(1))))
    take(eager, 1)
    (warning,) = what_is_lost(eager.step)
    assert re.search(r"^the loss: loss\.factor.* is an iterator, whose position cannot be read or restored", warning)


def test_a_plain_step_has_no_state_in_python() -> None:
    eager = make_eager()
    before = Snapshot(eager.step)
    take(eager, 2)
    assert all("'s optimizer." in path for path in before.changed())  # torch's own
    assert not eager.step.python_state.lost()
