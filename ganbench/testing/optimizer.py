"""The contract of optimizers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from ganbench.plugin.interfaces import OptimizerFactory
from ganbench.plugin.registrations import OptimizerPlugin
from ganbench.training.optimizers import load_optimizer_state

from .update import UpdateContract


class OptimizerContract(UpdateContract):
    plugin: ClassVar[OptimizerPlugin]

    def optimizer(self, device: str = "cpu") -> OptimizerFactory:
        factory: OptimizerFactory = self.build(device)
        return factory

    def descend(self, steps: int) -> float:
        """Minimize |x|^2 from (1, 1), and return the distance from the minimum."""
        point = nn.Parameter(torch.ones(2))
        optimizer = self.optimizer()([("point", point)])
        for _ in range(steps):
            optimizer.zero_grad()
            point.square().sum().backward()
            optimizer.step()
        return point.norm().item()

    def test_it_is_an_optimizer_of_all_parameters(self) -> None:
        """`build` returns a function from pairs of name and parameter to a `torch.optim.Optimizer` with all of them."""
        parameters = {name: nn.Parameter(torch.ones(2)) for name in ("weight", "bias")}
        optimizer = self.optimizer()(list(parameters.items()))
        assert isinstance(optimizer, Optimizer), f"expected a torch.optim.Optimizer, got {type(optimizer).__name__}"
        own = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        missing = [name for name, parameter in parameters.items() if id(parameter) not in own]
        assert not missing, f"expected all parameters in the optimizer's groups, got none for {', '.join(missing)}"

    def test_it_accepts_parameters_without_a_gradient(self) -> None:
        """A parameter that is not used in an update has no gradient: it is unchanged, and the others are updated."""
        used, unused = (nn.Parameter(torch.ones(2)) for _ in range(2))
        optimizer = self.optimizer()([("used", used), ("unused", unused)])
        for _ in range(2):
            optimizer.zero_grad()
            used.square().sum().backward()
            optimizer.step()
        assert unused.tolist() == [1.0, 1.0], f"expected the unused parameter [1.0, 1.0], got {unused.tolist()}"
        assert used.tolist() != [1.0, 1.0], f"expected a change of the used parameter, got {used.tolist()}"

    def test_it_resumes_from_its_state(self) -> None:
        """A new optimizer that loads the `state_dict` of another continues exactly as the other would."""
        uninterrupted, resumed = (nn.Parameter(torch.ones(2)) for _ in range(2))
        for point, stop in ((uninterrupted, None), (resumed, 3)):
            optimizer = self.optimizer()([("point", point)])
            for step in range(6):
                if step == stop:
                    state, optimizer = optimizer.state_dict(), self.optimizer()([("point", point)])
                    load_optimizer_state(optimizer, state)
                optimizer.zero_grad()
                point.square().sum().backward()
                optimizer.step()
        resumed_at, expected = resumed.tolist(), uninterrupted.tolist()
        assert resumed_at == expected, f"after 6 steps: expected the parameters {expected}, got {resumed_at}"

    def test_it_descends(self) -> None:
        """After 50 steps on a parabola, the parameters are closer to the minimum than after one."""
        near, far = self.descend(50), self.descend(1)
        assert near < far, f"expected to be nearer to the minimum after 50 steps than {far:.4g}, got {near:.4g}"
