"""The shipped optimizers compute the published formulas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from ganbench import BuildContext, Registry, UsageError
from ganbench.spec.loading import load_spec
from ganbench_optimizers import ganbench_optimizers

CONTEXT = BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=Path("unused"), seed=0)
OPTIMIZERS = {plugin.name: plugin for plugin in ganbench_optimizers()}
Steps = Callable[..., list[float]]


@pytest.fixture
def steps_of() -> Steps:
    """Return the change of a scalar in three steps with gradient -8, resuming the optimizer after the second."""

    def make(name: str, **options: Any) -> list[float]:
        plugin = OPTIMIZERS[name]
        point = torch.nn.Parameter(torch.zeros(1))
        way = [0.0]
        make = plugin.build(plugin.options(**options), CONTEXT)
        optimizer = make([("point", point)])
        for step in range(3):
            if step == 2:
                state = optimizer.state_dict()
                optimizer = make([("point", point)])
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            (-8 * point).sum().backward()
            optimizer.step()
            way.append(point.item())
        return [after - before for before, after in pairwise(way)]

    return make


def test_gradient_descent_ascends_with_a_negative_learning_rate(steps_of: Steps) -> None:
    assert steps_of("gradient-descent", lr=-0.1) == pytest.approx([-0.8, -0.8, -0.8])


def test_nesterov_momentum_adds_the_next_step_of_the_velocity(steps_of: Steps) -> None:
    plain, nesterov = (steps_of("sgd", lr=0.1, momentum=0.5, nesterov=choice) for choice in (False, True))
    assert plain == pytest.approx([0.8, 1.2, 1.4])
    assert nesterov == pytest.approx([0.8 + 0.4, 0.8 + 0.6, 0.8 + 0.7])


def test_nesterov_without_momentum_is_rejected_before_training(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"optimizer\.generator: nesterov requires a momentum above 0"):
        load_spec("dcgan-fashion", registry, ['optimizer.generator={name="sgd",nesterov=true}'])


def test_rmsprop_adds_momentum_to_the_normalized_gradient(steps_of: Steps) -> None:
    """The running averages of the squared gradient 64 are 0.64 and 1.2736 with alpha = 0.99."""
    first, second, _ = steps_of("rmsprop", lr=0.1, momentum=0.5)
    assert first == pytest.approx(0.1 * 8 / 0.64**0.5)
    assert second == pytest.approx(0.5 * first + 0.1 * 8 / 1.2736**0.5)


@pytest.mark.parametrize(("name", "expected"), [("adam", 0.9), ("adamw", 0.9 - 0.1 * 0.5)])
def test_adamw_decays_weights_apart_from_the_gradient(name: str, expected: float) -> None:
    """Adam's first step has the length lr for any gradient, so its L2 penalty has no effect there."""
    plugin = OPTIMIZERS[name]
    point = torch.nn.Parameter(torch.ones(1))
    options = plugin.options(lr=0.1, weight_decay=0.5)
    optimizer = plugin.build(options, CONTEXT)([("point", point)])
    (8 * point).sum().backward()
    optimizer.step()
    assert point.item() == pytest.approx(expected)
