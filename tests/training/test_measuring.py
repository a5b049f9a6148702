"""Scoring and sample images do not affect training, whatever a plugin does in eval(), train() or forward."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_gan import LATENT, SCORED, discriminator, generator, make_eager, own_run, take
from torch import Tensor, nn

from ganbench import Networks, PluginError
from ganbench.runtime.networks import NetworkState, set_train_mode
from ganbench.scoring.sampling import generator_mode
from ganbench.training.engines import EagerEngine
from ganbench.training.state.leaves import first_difference, leaves_of
from ganbench.training.state.measuring import untouched
from ganbench.training.state.step_state import snapshot_state


class Averaged(nn.Module):
    """Swaps in averaged weights in eval(), and its own weights in train()."""

    def __init__(self) -> None:
        super().__init__()
        self.body = generator()
        self.register_buffer("average", torch.zeros_like(self.body[0].weight))
        self.register_buffer("own", torch.zeros_like(self.body[0].weight))

    def forward(self, latent: Tensor) -> Tensor:
        if self.training:
            self.average.lerp_(self.body[0].weight.detach(), 0.1)
        return self.body(latent)

    def train(self, mode: bool = True) -> Averaged:
        weight = self.body[0].weight.data
        if mode and not self.training:
            weight.copy_(self.own)
        elif not mode and self.training:
            self.own.copy_(weight)
            weight.copy_(self.average)
        return super().train(mode)


class Merged(nn.Module):
    """Merges an adapter into its weight in eval(); removing it in train() causes a rounding error."""

    def __init__(self) -> None:
        super().__init__()
        self.body = generator()
        self.adapter = nn.Parameter(torch.randn_like(self.body[0].weight))

    def forward(self, latent: Tensor) -> Tensor:
        return self.body(latent)

    def train(self, mode: bool = True) -> Merged:
        if mode != self.training:
            self.body[0].weight.data += -self.adapter.data if mode else self.adapter.data
        return super().train(mode)


class Replacing(nn.Module):
    """Has other tensors and other layers in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body = generator()
        self.fused: nn.Module | None = None

    def forward(self, latent: Tensor) -> Tensor:
        return self.body(latent)

    def train(self, mode: bool = True) -> Replacing:
        if not mode and self.training:
            self.body[0].weight = nn.Parameter(self.body[0].weight.detach() * 2)
            self.body[1] = nn.Hardtanh()
            self.register_buffer("scale", torch.ones(3))
        return super().train(mode)


class Counting(nn.Module):
    """Counts, draws random numbers and stores tensors in forward, in both modes."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.calls, self.history = generator(), 0, [0.0]
        self.register_buffer("norm", torch.zeros(()))

    def forward(self, latent: Tensor) -> Tensor:
        self.calls += 1
        self.norm += 1
        images = self.body(latent)
        self.history.append(random.random() + images.mean().item() + torch.rand(()).item())
        return images


def make_engine(module: nn.Module) -> EagerEngine:
    return make_eager(networks=Networks(module, discriminator(), LATENT))


def score(eager: EagerEngine) -> None:
    networks = eager.step.networks
    with torch.no_grad(), generator_mode(networks.generator, "eval"):
        networks.discriminator.eval()(networks.generator(torch.randn(3, LATENT)))


@pytest.mark.parametrize("make", [Averaged, Merged, Replacing, Counting])
def test_scoring_does_not_affect_training(make: Callable[[], nn.Module]) -> None:
    warnings: list[str] = []
    eager = make_engine(make())
    take(eager, 1)
    parts = list(eager.step.networks.generator.named_modules())
    parameters = list(eager.step.networks.generator.named_parameters())
    before = leaves_of(snapshot_state(eager.step, eager.batches))
    with untouched(eager.step, eager.batches, warnings.append):
        score(eager)
        torch.rand((), generator=eager.step.latents)
    assert first_difference(before, leaves_of(snapshot_state(eager.step, eager.batches))) is None
    assert [name for name, _ in eager.step.networks.generator.named_modules()] == [name for name, _ in parts]
    now = dict(eager.step.networks.generator.named_parameters())
    assert all(now[name] is parameter for name, parameter in parameters)
    assert eager.step.networks.generator.training
    assert eager.step.networks.discriminator.training
    assert not warnings


def test_state_is_restored_after_an_error_too() -> None:
    eager = make_engine(Averaged())
    before = leaves_of(snapshot_state(eager.step, eager.batches))

    def fail_in_eval() -> None:
        with untouched(eager.step, eager.batches, print):
            eager.step.networks.generator.eval()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_eval()
    assert first_difference(before, leaves_of(snapshot_state(eager.step, eager.batches))) is None


class OneWay(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = generator()

    def train(self, mode: bool = True) -> Any:
        if mode and not self.training:
            raise RuntimeError("no way back")
        return super().train(mode)


def test_a_model_that_cannot_be_restored_is_named() -> None:
    eager = make_engine(OneWay())
    with (
        pytest.raises(PluginError, match=r"^the model raised in train\(\) when the generator .*: no way back"),
        untouched(eager.step, eager.batches, print),
    ):
        eager.step.networks.generator.eval()


SWAPPING = """
from test_measuring import Averaged

build_model = lambda options, context: Networks(Averaged(), discriminator(), LATENT)
"""


def test_a_run_with_scores_ends_with_the_same_weights_as_one_without(tmp_path: Path) -> None:
    often, _ = own_run(tmp_path, SWAPPING, [*SCORED, "metrics.0.at_epochs=[0,1,2]", "training.steps=12"], name="often")
    never, _ = own_run(tmp_path, SWAPPING, ["training.steps=12"], name="never")
    assert len(often.metrics[0].curve) == 4
    assert [(row.d_loss, row.g_loss) for row in often.history] == [(row.d_loss, row.g_loss) for row in never.history]


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False).eval()


def test_frozen_modules_stay_in_eval_mode_and_all_others_train() -> None:
    backbone, head = (
        frozen(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))),
        nn.Sequential(nn.Linear(2, 1), nn.Dropout()),
    )
    network = nn.Sequential(backbone, head)
    set_train_mode(network)
    assert [module.training for module in network.modules()] == [True, False, False, False, True, True, True]
    network.eval()  # the whole network, by habit, though only its frozen module is meant
    set_train_mode(network)
    assert [module.training for module in network.modules()] == [True, False, False, False, True, True, True]
    whole = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    set_train_mode(whole)
    assert all(module.training for module in whole.modules())


def test_modes_are_restored_module_by_module() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    network[1].eval()
    state = NetworkState(network)
    network.eval()
    state.restore()
    assert [module.training for module in network.modules()] == [True, True, False]


FROZEN = """
class Watched(nn.Module):
    modes = []

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Dropout(0.9)).eval()
        self.fixed = nn.Linear(PIXELS, 8).requires_grad_(False).eval()
        self.head = nn.Linear(8, 1)

    def forward(self, images):
        if self.backbone.training or self.fixed.training or not self.head.training:
            raise RuntimeError("wrong modes")
        return self.head(self.fixed(self.backbone(images)))

build_model = lambda options, context: Networks(generator(), Watched(), LATENT)
"""


def test_a_run_trains_with_frozen_modules_in_eval_mode(tmp_path: Path) -> None:
    assert re.match(
        "completed", own_run(tmp_path, FROZEN, [*SCORED, "metrics.0.at_epochs=[1]", "training.steps=7"])[0].status
    )
