"""Penalties: values and gradients by independent formulas, with augmentations, and the steps in which they are due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from linear_gan import LeastSquares, make_eager, own_run, take
from torch import Tensor, nn

from ganbench import Batch, Networks, PluginError, UsageError
from ganbench.training.penalties import MAX_VARIANTS, Penalties, WeightedPenalty
from ganbench.training.players import NamedAugmentation, UpdatePlayers
from ganbench.training.state.step_state import restore_state, snapshot_state
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_penalties.gradients import GradientPenalty, r1, r2

COUNT = 6


class Quadratic(nn.Module):
    """D(x) = x^T A x / 2 + b^T x, whose gradient at x is (A + A^T) x / 2 + b."""

    def __init__(self, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.a = nn.Parameter(torch.randn(size, size, dtype=torch.float64, generator=generator) / size)
        self.b = nn.Parameter(torch.randn(size, dtype=torch.float64, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return (((flat @ self.a) * flat).sum(1) / 2 + flat @ self.b)[:, None]

    def gradient(self, flat: Tensor) -> Tensor:
        return flat @ (self.a + self.a.T) / 2 + self.b


def scene(augment: Callable[[Tensor], Tensor] | None = None) -> tuple[UpdatePlayers, Batch, Quadratic]:
    """Return a generator of fixed images and a discriminator with a known gradient, on real images in float64."""
    images = embedded_subset().test.tensors[0][: 2 * COUNT, :, 8:16, 8:16].double() / 127.5 - 1
    real, fake = images[:COUNT].clone().requires_grad_(), images[COUNT:].clone()
    discriminator = Quadratic(64)
    generator = nn.Linear(1, 1)
    generator.forward = lambda _: fake.clone()  # type: ignore[method-assign]
    networks = Networks(generator, discriminator, latent_dim=1)
    augmentations = [NamedAugmentation("the augmentation", augment)] if augment else []
    players = UpdatePlayers(networks, generator, discriminator, augmentations, differentiable_images=True)
    batch = Batch(real, torch.zeros(COUNT, dtype=torch.int64), torch.zeros(COUNT, 1))
    return players, batch, discriminator


def halve(images: Tensor) -> Tensor:
    return images / 2 + 0.1


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(("penalty", "real"), [(r1, True), (r2, False)])
def test_r1_and_r2_are_half_the_mean_squared_gradient_before_augmentation(
    penalty: Any, real: bool, augmented: bool
) -> None:
    players, batch, discriminator = scene(halve if augmented else None)
    players.discriminate(batch.real)
    players.discriminate(players.generate(batch))
    value = penalty(players, batch)
    images = (batch.real if real else players.generate(batch)).detach().flatten(1)
    known = discriminator.gradient(images / 2 + 0.1) / 2 if augmented else discriminator.gradient(images)
    expected = known.square().sum(1).mean() / 2
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(value, [discriminator.a, discriminator.b]),
        torch.autograd.grad(expected, [discriminator.a, discriminator.b]),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("target", [0.0, 1.0, 100.0])
def test_the_gradient_penalty_is_the_squared_distance_of_the_norm_between_pairs(target: float, one_sided: bool) -> None:
    players, batch, discriminator = scene()
    torch.manual_seed(3)
    value = GradientPenalty(target, one_sided)(players, batch)
    torch.manual_seed(3)
    share = torch.rand(COUNT, 1, 1, 1, dtype=torch.float64)
    between = (batch.real + share * (players.generate(batch) - batch.real)).detach().flatten(1)
    excess = discriminator.gradient(between).norm(dim=1) - target
    expected = (excess.clamp(min=0) if one_sided else excess).square().mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
    if expected > 0:
        torch.testing.assert_close(
            torch.autograd.grad(value, [discriminator.a, discriminator.b]),
            torch.autograd.grad(expected, [discriminator.a, discriminator.b]),
            rtol=1e-8,
            atol=1e-9,
        )


def test_a_penalty_reuses_the_forward_pass_of_the_loss() -> None:
    players, batch, discriminator = scene()
    passes = []
    discriminator.register_forward_hook(lambda *_: passes.append(1))
    players.discriminate(batch.real)
    r1(players, batch)
    assert len(passes) == 1
    r2(players, batch)  # the loss did not compute it
    assert len(passes) == 2


def test_images_are_generated_once_per_update() -> None:
    players, batch, _ = scene()
    assert players.generate(batch) is players.generate(batch)
    other = Batch(batch.real, batch.labels, batch.latent)
    assert players.generate(other) is not players.generate(batch)


def test_images_that_the_discriminator_ignores_have_no_gradient_to_penalize() -> None:
    players, batch, _ = scene()
    ignoring = nn.Linear(1, 1).double()
    blind = UpdatePlayers(
        players.networks,
        players.networks.generator,
        nn.Sequential(Ignoring(), ignoring),
        differentiable_images=True,
    )
    with pytest.raises(PluginError, match="does not depend on the images"):
        r1(blind, batch)


class Ignoring(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 1, dtype=torch.float64)


def penalties(*every: int) -> Penalties:
    return Penalties([WeightedPenalty(f"p{n}", f"penalty {n}", r1, 2.0, n) for n in every])


def test_each_variant_of_a_step_has_its_share() -> None:
    assert penalties().shares == {(): 1.0}
    assert penalties(1).shares == {(True,): 1.0}
    shares = penalties(4, 2).shares
    assert shares == {(True, True): 0.25, (False, False): 0.5, (False, True): 0.25}
    assert [penalties(4, 2).first_step(variant) for variant in shares] == [0, 1, 2]
    assert penalties(4, 2).first_positions == {(0, 0): 0.25, (1, 0): 0.5, (2, 0): 0.25}
    assert penalties(16).all[0].factor == 32.0


def test_too_many_kinds_of_step_are_refused() -> None:
    with pytest.raises(UsageError, match=rf"p7: 7\) result in 16 different steps, and at most {MAX_VARIANTS}"):
        penalties(2, 3, 5, 7)


LAZY = 'penalties=[{name="r1",weight=0.5,every=3},{name="r1",weight=0.1},{name="gradient-penalty",weight=1.0}]'


def test_a_run_reports_every_penalty_in_every_row(tmp_path: Any) -> None:
    result, _ = own_run(tmp_path, "", [LAZY, "training.steps=7"])
    (first, second) = result.history
    for row in (first, second):
        assert set(row.monitors) == {"r1", "r1-2", "gradient-penalty"}
        assert all(value is not None and value > 0 for value in row.monitors.values())
    assert result.spec["penalties"][1] == {"name": "r1", "id": "r1-2", "weight": 0.1, "every": 1}


def test_a_penalty_changes_what_is_learned_and_a_weight_of_zero_does_not(tmp_path: Any) -> None:
    losses = [
        own_run(tmp_path, "", overrides, name=name)[0].history[-1].d_loss
        for name, overrides in (
            ("plain", []),
            ("zero", ['penalties=[{name="r1",weight=0.0}]']),
            ("one", ['penalties=[{name="r1",weight=100.0}]']),
        )
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("layer", "warned"),
    [
        ("nn.BatchNorm2d(1)", True),
        ("nn.BatchNorm2d(1).eval()", False),
        ("nn.BatchNorm2d(1, track_running_stats=False).eval()", True),
    ],
)
def test_a_batch_norm_discriminator_under_a_penalty_is_a_warning(layer: str, warned: bool, tmp_path: Any) -> None:
    """Batch norm with running statistics does not mix images, as in frozen pretrained features."""
    source = f"""
    def build_model(options, context):
        return Networks(generator(), nn.Sequential({layer}, discriminator()), LATENT)
    """
    _, warnings = own_run(tmp_path, source, ['penalties=[{name="r1",weight=0.1}]'])
    found = [each for each in warnings if "batch norm" in each]
    assert [each.startswith("penalty 'r1' (from ganbench") for each in found] == [True] * warned


OTHER_LATENTS = """
from dataclasses import replace

class Own(LeastSquares):
    def images(self, players, batch):
        return players.generate(replace(batch, latent={latent}))

    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(self.images(players, batch))
        loss = (real - 1).square().mean() + fake.square().mean()
        return loss + {more}, {{}}

build_loss = lambda options, context: Own()
"""


@pytest.mark.parametrize(
    ("latent", "more", "penalty", "warned"),
    [
        ("batch.latent.clamp(-1, 1)", "0", "r2", True),
        ("batch.latent.clamp(-1, 1)", "0", "r1", False),
        ("batch.latent.clamp(-1, 1)", "players.discriminate(players.generate(batch)).square().mean()", "r2", False),
        ("batch.latent[:4]", "0", "r2", False),  # a part of the batch, as to accumulate gradients
    ],
)
def test_a_penalty_on_images_that_the_loss_does_not_use_is_a_warning(
    latent: str, more: str, penalty: str, warned: bool, tmp_path: Any
) -> None:
    used = [f'penalties=[{{name="{penalty}",weight=0.1}}]']
    _, warnings = own_run(tmp_path, OTHER_LATENTS.format(latent=latent, more=more), used)
    found = [each for each in warnings if "loss 'own'" in each and "only generates images of other latent" in each]
    assert [each.startswith("penalty 'r2'") for each in found] == [True] * warned


@pytest.mark.parametrize(("every", "steps", "warned"), [(1, 1, False), (3, 1, False), (4, 1, True), (2, 2, False)])
def test_a_penalty_that_is_due_only_in_extrapolations_is_a_warning(
    every: int, steps: int, warned: bool, tmp_path: Any
) -> None:
    penalty = f'penalties=[{{name="r1",weight=0.1,every={every}}}]'
    more = [f"training.discriminator_steps={steps}", "optimizer.discriminator=extragradient"]
    _, warnings = own_run(tmp_path, "", [penalty, *more])
    found = [each for each in warnings if "choose a value of every that shares no factor with 2" in each]
    assert bool(found) == warned, warnings


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", r"^the run failed.*penalty 'bad' \(from own.py .*\) raised ZeroDivisionError"),
        (
            "return torch.ones(3)",
            r"returned a tensor, float32 of shape \(3,\); expected a differentiable scalar tensor",
        ),
        ("return 0.5", "returned 0.5; expected a differentiable scalar tensor"),
    ],
)
def test_a_penalty_that_breaks_the_contract_is_named(body: str, message: str, tmp_path: Any) -> None:
    source = f"""
    from ganbench import PenaltyPlugin
    def bad(players, batch):
        {body}
    @hookimpl
    def ganbench_penalties():
        return [PenaltyPlugin(name="bad", summary="-", build=lambda o, c: bad)]
    """
    with pytest.raises(PluginError, match=message):
        own_run(tmp_path, source, ['penalties=[{name="bad",weight=1.0}]'])


class Scaled(LeastSquares):
    """Scales the logits of real images by a number that it trains with an optimizer of its own."""

    def __init__(self) -> None:
        self.scale = nn.Parameter(torch.ones(()))
        self.optimizer = torch.optim.SGD([self.scale], lr=0.1)

    def discriminator_loss(self, players: Any, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        self.optimizer.step()  # with the gradient of the previous step
        self.optimizer.zero_grad()
        real, fake = self.scale * players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return (real - 1).square().mean() + fake.square().mean(), {}


def test_a_penalty_does_not_take_the_gradients_of_parameters_that_the_loss_trains() -> None:
    scales = []
    for weight in (None, 0.0):
        loss = Scaled()
        penalties = Penalties() if weight is None else Penalties([WeightedPenalty("r1", "r1", r1, weight, 1)])
        take(make_eager(loss, penalties=penalties), 3)
        scales.append(loss.scale.item())
    assert scales[0] == pytest.approx(scales[1])
    assert scales[0] != 1.0


def squared_weights(players: Any, batch: Batch) -> Tensor:
    return players.networks.generator[0].weight.square().sum()


def test_a_penalty_on_the_generator_is_in_its_loss_alone_and_counts_every_steps() -> None:
    weight, every, lr = 3.0, 2, 1e-4
    penalty = WeightedPenalty("l2", "the penalty", squared_weights, weight, every, player="generator")
    plain, penalized = make_eager(), make_eager(penalties=Penalties([penalty]))
    initial = plain.step.networks.generator[0].weight.detach().clone()
    ((*losses,), (*with_penalty, value)) = (take(engine, 1)[0] for engine in (plain, penalized))
    assert with_penalty == pytest.approx(losses)
    assert value == pytest.approx(initial.square().sum().item())
    first, second = (engine.step.networks for engine in (plain, penalized))
    expected = first.generator[0].weight - lr * weight * every * 2 * initial
    torch.testing.assert_close(second.generator[0].weight, expected)
    assert torch.equal(first.discriminator[1].weight, second.discriminator[1].weight)


PATH_LENGTH = """
from ganbench import PenaltyPlugin
def path_length(players, batch):
    latent = batch.latent.detach().requires_grad_()
    images = players.networks.generator(latent)
    (gradient,) = torch.autograd.grad((images * torch.randn_like(images)).sum(), latent, create_graph=True)
    return (gradient.square().sum(1).sqrt() - 1).square().mean()

@hookimpl
def ganbench_penalties():
    return [PenaltyPlugin(name="path", summary="-", player="generator", build=lambda o, c: path_length)]
"""


def test_a_run_may_penalize_both_networks(tmp_path: Any) -> None:
    penalties = 'penalties=[{name="path",weight=1.0,every=4},{name="r1",weight=1.0,every=2}]'
    result, warnings = own_run(tmp_path, PATH_LENGTH, [penalties, "optimizer.generator=adam"])
    assert not warnings
    (row,) = result.history
    assert row.monitors["path"] is not None
    assert row.monitors["r1"] is not None


def test_a_penalty_on_logits_costs_no_other_forward_pass() -> None:
    def lecam(players: Any, batch: Batch) -> Tensor:
        return (players.logits(batch.real) - players.logits(players.generate(batch))).square().mean()

    calls = []
    for penalties in (Penalties(), Penalties([WeightedPenalty("lecam", "the penalty", lecam, 1.0)])):
        engine, seen = make_eager(penalties=penalties), []
        engine.step.networks.discriminator.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        take(engine, 1)
        calls.append(len(seen))
    assert calls == [3, 3]


class InParts(LeastSquares):
    """Accumulates the gradients of both halves of a batch."""

    def discriminator_loss(self, players: Any, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        half = len(batch.real) // 2
        losses = []
        for part in (slice(half), slice(half, None)):
            smaller = Batch(batch.real[part], batch.labels[part], batch.latent[part])
            losses.append(super().discriminator_loss(players, smaller)[0] / 2)
            if len(losses) == 1:
                losses[0].backward()
        return losses[1], {}


def test_a_loss_may_accumulate_gradients() -> None:
    whole, parts = make_eager(), make_eager(InParts())
    for engine in (whole, parts):
        take(engine, 2)
    first, second = (engine.step.networks.discriminator[1].weight for engine in (whole, parts))
    torch.testing.assert_close(first, second)


def test_gradients_that_a_loss_uses_in_its_next_call_are_saved_and_restored() -> None:
    uninterrupted, resumed = make_eager(Scaled()), make_eager(Scaled())
    take(uninterrupted, 2)
    state = snapshot_state(uninterrupted.step, uninterrupted.batches)
    take(resumed, 1)
    restore_state(state, resumed.step, resumed.batches)
    for engine in (uninterrupted, resumed):
        take(engine, 1)
    assert uninterrupted.step.loss.scale.item() == resumed.step.loss.scale.item() != 1.0
