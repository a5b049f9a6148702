"""The moving average of the generator: the recurrence, its buffers, and spectral norms that stay at 1."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from linear_gan import LATENT, SCORED, discriminator, generator, make_eager, own_run
from torch import nn
from torch.nn.utils import parametrizations, parametrize, spectral_norm

from ganbench import Networks, PluginError, UsageError
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.training.ema import EMA
from ganbench.training.position import Position
from ganbench_optimizers.update_rules import Extragradient


def walk(generator: nn.Module, ema: EMA, steps: int, images: int, lr: float = 0.05) -> None:
    """Change the generator at random and update the average."""
    generator.train()
    for step in range(steps):
        ema.set(Position(step, step * images), images)
        generator(torch.randn(16, 8))  # updates running statistics and power iterations
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(lr * torch.randn_like(parameter))
        ema.update()


@pytest.mark.parametrize(
    ("growth", "ramp"), [(0, 0.0), (0, 0.05), (0.2, 0.0)], ids=["constant", "ramp", "scheduled, from 0"]
)
def test_the_average_follows_the_recurrence(growth: float, ramp: float) -> None:
    torch.manual_seed(0)
    generator = nn.Linear(8, 4)
    ema = EMA(generator, lambda images: growth * images / 1000 if growth else 0.5, ramp, "the model")
    expected = [parameter.detach().double() for parameter in generator.parameters()]
    for step in range(100):
        half_life = growth * 64 * step if growth else 500.0 if ramp == 0 else min(500.0, 0.05 * 64 * step)
        decay = 0.5 ** (64 / half_life) if half_life else 0.0
        walk_one(generator, ema, step)
        expected = [
            decay * old + (1 - decay) * new.detach().double()
            for old, new in zip(expected, generator.parameters(), strict=True)
        ]
    for average, known in zip(ema.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(average.double(), known, rtol=1e-5, atol=1e-6)


def walk_one(generator: nn.Module, ema: EMA, step: int) -> None:
    ema.set(Position(step, 64 * step), 64)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ema.update()


def test_the_average_is_of_the_weights_after_each_update_of_an_optimizer_that_extrapolates_in_between() -> None:
    torch.manual_seed(0)
    networks = Networks(generator(), discriminator(), LATENT)
    ema = EMA(networks.generator, lambda _: 0.032, 0.0, "the model")
    eager = make_eager(networks=networks, factory=partial(Extragradient, lr=0.1), ema=ema)
    trained, averaged = networks.generator[0].weight, ema.generator[0].weight
    expected = trained.detach().clone()
    for step in range(7):
        eager((torch.arange(8),), Position(step, 8 * step))
        if step % 2:  # even ones, counted from 0, extrapolate
            expected = torch.lerp(expected, trained.detach(), 1 - 0.5 ** (16 / 32))
        torch.testing.assert_close(averaged, expected)
        assert not torch.allclose(averaged, trained)


def test_batch_norms_running_statistics_are_the_trained_ones() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4))
    ema = EMA(generator, lambda _: 1, 0.05, "the model")
    walk(generator, ema, 20, 64)
    for name, buffer in generator.named_buffers():
        assert torch.equal(ema.generator.get_buffer(name), buffer)
    assert not torch.equal(ema.generator[0].weight, generator[0].weight)


@pytest.mark.parametrize("norm", [parametrizations.spectral_norm, spectral_norm], ids=["parametrization", "hook"])
@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("lr", [1e-3, 1e-2, 0.2])
def test_the_largest_singular_value_of_an_averaged_spectral_norm_is_1(norm: Any, mode: bool, lr: float) -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(norm(nn.Linear(8, 32)), nn.BatchNorm1d(32), nn.ReLU(), norm(nn.Linear(32, 12)))
    ema = EMA(generator, lambda _: 1, 0.05, "the model")
    walk(generator, ema, 200, 64, lr)
    average = ema.for_sampling().train(mode)
    average(torch.randn(16, 8))
    for layer in (average[0], average[3]):
        sigma = torch.linalg.matrix_norm(layer.weight.detach().double(), 2).item()
        assert sigma == pytest.approx(1, abs=1e-3)


def test_spectral_norm_of_an_average_may_follow_another_parametrization() -> None:
    class Doubled(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return 2 * weight

    torch.manual_seed(0)
    layer = nn.Linear(8, 32)
    parametrize.register_parametrization(layer, "weight", Doubled())
    generator = nn.Sequential(parametrizations.spectral_norm(layer))
    ema = EMA(generator, lambda _: 1, 0.05, "the model")
    walk(generator, ema, 50, 64, lr=0.2)
    weight = ema.for_sampling().eval()[0].weight.detach().double()
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_complex_parameters_are_averaged() -> None:
    """As in networks that filter in the frequency domain."""

    class Filter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gains = nn.Parameter(torch.ones(5, dtype=torch.complex64))

        def forward(self, latent: torch.Tensor) -> torch.Tensor:
            return torch.fft.irfft(torch.fft.rfft(latent) * self.gains)

    generator = Filter()
    ema = EMA(generator, lambda _: 0.064, 0, "the model")
    with torch.no_grad():
        generator.gains.copy_(torch.full((5,), 3 - 2j))
    ema.set(Position(0, 0), 64)
    ema.update()
    torch.testing.assert_close(ema.generator.gains.detach(), torch.full((5,), 2 - 1j))  # halfway


def test_a_buffer_created_in_the_first_forward_pass_is_in_the_average() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 4)
            self.register_buffer("scale", None)

        def forward(self, latent: torch.Tensor) -> torch.Tensor:
            if self.scale is None:
                self.scale = torch.full((4,), 2.0)
            return self.linear(latent) * self.scale

    generator = Late()
    ema = EMA(generator, lambda _: 1, 0.05, "the model")
    walk(generator, ema, 3, 64)
    assert torch.equal(ema.generator.scale, torch.full((4,), 2.0))


def test_a_generator_that_cannot_be_copied_is_named() -> None:
    class Stubborn(nn.Linear):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("one of a kind")

    with pytest.raises(PluginError, match=r"^the model: \[ema\] needs a copy .* RuntimeError: one of a kind"):
        EMA(Stubborn(8, 4), lambda _: 1, 0.05, "the model")


def test_raw_and_averaged_weights_are_scored_separately_in_one_run(tmp_path: Any) -> None:
    metrics = (
        'metrics=[{name="fid",features="fashion-cnn",num_samples=20},'
        '{name="fid",features="fashion-cnn",num_samples=20,weights="ema"}]'
    )
    fast = ["optimizer.generator=adam", "optimizer.generator.lr=0.1", "training.steps=20", "ema.half_life_kimg=0.05"]
    result, _ = own_run(tmp_path, "", [metrics, *fast])
    raw, averaged = result.metrics
    assert raw.value != averaged.value
    assert raw.curve[0].value == averaged.curve[0].value  # before training, the weights are equal
    assert raw.protocol["weights"] == "raw"
    assert averaged.protocol["weights"] == "EMA, half-life 0.05 kimg, ramp 0.05"


FALLING = '{name="step",start=9.0,factor=1e-9,every_kimg=0.032}'  # in the last of 5 steps, the half-life is nearly 0


@pytest.mark.parametrize(
    ("half_life", "described", "follows"),
    [(FALLING, "step (start 9.0, factor 1e-09, every_kimg 0.032)", True), ("9.0", "9", False)],
)
def test_a_half_life_can_follow_a_schedule(half_life: str, described: str, follows: bool, tmp_path: Any) -> None:
    metrics = 'metrics=[{name="fid",features="fashion-cnn",num_samples=20,weights="ema"}]'
    parts = [metrics, "optimizer.generator={name='adam',lr=0.1}", "ema.ramp=0", f"ema.half_life_kimg={half_life}"]
    result, _ = own_run(tmp_path, "", parts)
    state = load_checkpoint(tmp_path / "run" / "checkpoint.pt").state
    assert torch.equal(state["ema"]["0.weight"], state["networks"]["generator"]["0.weight"]) == follows
    assert result.metrics[0].protocol["weights"] == f"EMA, half-life {described} kimg"
    assert ("schedule" in {plugin.kind for plugin in result.plugins}) == follows


@pytest.mark.parametrize("half_life", ["-1", "{name='linear',start=1.0,end=-1.0}"])
def test_a_negative_half_life_is_refused(half_life: str, tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"ema\.half_life_kimg: .*must be at least 0"):
        own_run(tmp_path, "", [f"ema.half_life_kimg={half_life}"])


def test_an_average_does_not_affect_training(tmp_path: Any) -> None:
    plain, _ = own_run(tmp_path, "", SCORED, name="plain")
    averaged, _ = own_run(tmp_path, "", [*SCORED, "ema.half_life_kimg=0.05"], name="averaged")
    assert plain.history[-1].d_loss == averaged.history[-1].d_loss
    assert plain.metrics[0].value == averaged.metrics[0].value


@pytest.mark.parametrize("path", ["metrics.0.weights", "sample_images.weights"])
def test_averaged_weights_without_ema_are_refused(path: str, tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=rf"{path} is 'ema', but the spec has no \[ema\]"):
        own_run(tmp_path, "", [*SCORED, f"{path}=ema"])
