"""Optimizers continue from their state: whatever its dtypes, and those that plugins use for networks of their own."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_gan import OVERRIDES, Noting, own_run, plugin
from run_spec import run
from torch import nn
from torch.optim import SGD, Optimizer

from ganbench import PluginError
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.runtime.plugin_state import load_saved_state
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.training.optimizers import configure, load_optimizer_state
from ganbench.training.state.leaves import first_difference, leaves_of


class Counting(Optimizer):
    """Descends in float32, every second step, and only where the first gradient was positive."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": torch.tensor(0.01)})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["count"] = torch.zeros((), dtype=torch.int64)
                    state["mask"] = parameter.grad > 0
                    state["precise"] = parameter.float().clone()
                state["count"] += 1
                change = torch.where(state["mask"], group["lr"] * parameter.grad.float(), 0.0)
                state["precise"] -= change * (state["count"] & 1)
                parameter.copy_(state["precise"])


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_sgd_as_configured_equals_torchs_own(options: dict[str, float]) -> None:
    """Torch's fused SGD does not, for a parameter with gaps or one that gets its first gradient later."""
    paths = []
    for own in (True, False):
        with_gaps = nn.Parameter(torch.ones(4, 8)[:, :4])
        later = nn.Parameter(torch.ones(4))
        optimizer = SGD([with_gaps, later], lr=0.1, **options)
        if own:
            configure(optimizer, torch.device("cpu"))
        for step in range(3):
            optimizer.zero_grad()
            (with_gaps * torch.arange(16.0).reshape(4, 4) + step * later).sum().backward(
                inputs=[with_gaps, later] if step else [with_gaps]
            )
            optimizer.step()
        paths.append((with_gaps.detach(), later.detach()))
    for ours, theirs in zip(*paths, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_sgd_with_momentum_is_fused_where_a_cuda_graph_needs_it() -> None:
    """Unfused, it reads a learning rate that is a tensor on the host."""
    for lr, fused in ((0.1, None), (torch.tensor(0.1), True)):
        optimizer = SGD([nn.Parameter(torch.ones(2))], lr=lr, momentum=0.9)
        configure(optimizer, torch.device("cuda"))
        assert optimizer.param_groups[0]["fused"] is fused


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_keeps_its_dtypes_and_continues_as_uninterrupted(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    uninterrupted = nn.Parameter(torch.randn(64).to(dtype))
    resumed = nn.Parameter(uninterrupted.detach().clone())
    for parameter, stop in ((uninterrupted, None), (resumed, 5)):
        optimizer = Counting([parameter])
        for step in range(10):
            if step == stop:
                saved, optimizer = deepcopy(optimizer.state_dict()), Counting([parameter])
                rate = optimizer.param_groups[0]["lr"]
                load_optimizer_state(optimizer, saved)
                assert optimizer.param_groups[0]["lr"] is rate
            parameter.grad = (parameter.detach() - 1) * (1 if step else -1)
            optimizer.step()
    assert torch.equal(uninterrupted, resumed)


def test_the_state_of_a_plugin_is_loaded_to_the_device_where_it_was() -> None:
    """A checkpoint is read to the CPU. `meta` stands for a GPU."""

    class Mean:
        def __init__(self, device: str) -> None:
            self.state = {"mean": torch.zeros(3, device=device), "nested": [torch.zeros(1, device=device)], "count": 2}

        def state_dict(self) -> dict[str, Any]:
            return self.state

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = state

    on_device = Mean("meta")
    load_saved_state(on_device, Mean("cpu").state_dict(), torch.device("meta"), "the loss")
    assert on_device.state["mean"].is_meta
    assert on_device.state["nested"][0].is_meta
    assert on_device.state["count"] == 2


LATE = """
class Late(nn.Module, LeastSquares):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", None)
    def factor(self):
        if self.mean is None:
            {created}
        self.mean.add_(1)
        return 1.0

build_loss = lambda options, context: Late()
"""


def test_a_loss_may_create_a_buffer_in_its_first_call(tmp_path: Path) -> None:
    """Moving averages do so, as in LeCam. The first call is in the warm-up, before the first step."""
    own_run(tmp_path, LATE.format(created="self.mean = torch.zeros(())"))
    state = load_checkpoint(tmp_path / "run" / "checkpoint.pt").state["loss"]["state"]
    assert state["mean"] == 5


def test_a_loss_that_creates_a_module_in_its_first_call_is_named(tmp_path: Path) -> None:
    created = "self.mean, self.teacher = torch.zeros(()), discriminator()"
    with pytest.raises(PluginError, match=r"loss 'own' \(from .*\): its state cannot be restored .* modules in build"):
        own_run(tmp_path, LATE.format(created=created))


ENCODER = """
class Encoding(LeastSquares):
    \"\"\"Trains an encoder from images to latent vectors, and adds its error to the generator's loss.\"\"\"
    def __init__(self):
        torch.manual_seed(1)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, LATENT))
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=0.01)

    def error(self, players, batch):
        return (self.encoder(players.generate(batch)) - batch.latent).square().mean()

    def discriminator_loss(self, players, batch):
        error = self.error(players, batch)
        self.optimizer.zero_grad()
        error.backward()
        self.optimizer.step()
        return super().discriminator_loss(players, batch)[0], {"error": error}

    def generator_loss(self, players, batch):
        return super().generator_loss(players, batch)[0] + self.error(players, batch), {}

build_loss = lambda options, context: Encoding()

class Clipping(torch.optim.Optimizer):
    \"\"\"Clips gradients before the step of another optimizer, which has the state.\"\"\"
    def __init__(self, parameters):
        super().__init__(parameters, {})
        self.inner = torch.optim.Adam([each for _, each in parameters], lr=0.01)
    def step(self, closure=None):
        torch.nn.utils.clip_grad_value_(self.param_groups[0]["params"], 0.1)
        self.inner.step()

build_optimizer = lambda options, context: Clipping
"""


ACCUMULATING = """
class Accumulating(torch.optim.Adam):
    \"\"\"Adds up the gradients of two steps, and zeroes them after the second one.\"\"\"
    def __init__(self, parameters):
        super().__init__(parameters, lr=0.01)
        self.calls = 0
    def zero_grad(self, set_to_none=True):
        if self.calls % 2 == 0:
            super().zero_grad(set_to_none)
    def step(self, closure=None):
        self.calls += 1
        if self.calls % 2 == 0:
            super().step(closure)

build_optimizer = lambda options, context: Accumulating
"""


def whole_and_resumed(folder: Path, source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the final states of a run of six steps, and of one that was resumed after three; both without warnings."""
    registry = plugin(folder, source)
    steps = {"whole": 6, "begun": 3}
    for name, length in steps.items():
        spec = load_spec("dcgan-fashion", registry, [*OVERRIDES, f"training.steps={length}"])
        callback = Noting()
        run(spec, device="cpu", out=folder / name, callback=callback)
        assert callback.warnings == []
    spec = load_stopped_spec(folder / "begun", registry, ["training.steps=6"])
    run(spec, device="cpu", resume=folder / "begun")
    whole, resumed = (load_checkpoint(folder / name / "checkpoint.pt").state for name in steps)
    return whole, resumed


@pytest.mark.parametrize("period", [1, 2])
def test_gradients_that_an_optimizer_accumulates_over_steps_are_resumed(period: int, tmp_path: Path) -> None:
    """With a period of 1, it overrides `zero_grad`, but accumulates nothing, so there is nothing to save."""
    whole, resumed = whole_and_resumed(tmp_path, ACCUMULATING.replace("% 2", f"% {period}"))
    assert first_difference(leaves_of(whole), leaves_of(resumed)) is None
    assert len(whole["plugin_gradients"]) == (0 if period == 1 else 2)


@pytest.mark.parametrize("period", [1, 2])
def test_clipping_a_sum_of_gradients_is_a_warning(period: int, tmp_path: Path) -> None:
    """Each step would clip what the earlier ones have added up."""
    clipped = "optimizer.discriminator={name='own', max_grad_norm=1.0}"
    _, warnings = own_run(tmp_path, ACCUMULATING.replace("% 2", f"% {period}"), [clipped])
    assert len(warnings) == period - 1
    assert all("optimizer.discriminator.max_grad_norm: optimizer 'own'" in each for each in warnings)


def test_optimizers_in_a_loss_and_in_another_optimizer_are_restored_after_the_warm_up_and_in_a_resumed_run(
    tmp_path: Path,
) -> None:
    """The first step of Adam changes each weight by the learning rate, only if it starts without averages."""
    whole, resumed = whole_and_resumed(tmp_path, ENCODER)
    for part in ("networks", "plugin_optimizers", "python"):
        assert first_difference(leaves_of(whole[part]), leaves_of(resumed[part])) is None
    assert len(whole["plugin_optimizers"]) == 3
    for state in whole["plugin_optimizers"].values():
        assert [each["step"].item() for each in state["state"].values()] == [6, 6]
