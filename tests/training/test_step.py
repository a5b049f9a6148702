"""One training step: the same mathematics as the homework, without redundant work."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import PLUGIN_NAMES
from linear_gan import own_run
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.utils.flop_counter import FlopCounterMode

from ganbench import Networks, PluginError
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import BuildContext
from ganbench.plugin.registry import Registry
from ganbench.runtime.rng import make_rng
from ganbench.training.step import TrainingStep

BATCH = 64
MFLOP_PER_IMAGE = 575.87  # 2 x 287.93 million multiply-accumulates, see docs/homework.md


def build_networks(registry: Registry, **options: object) -> Networks:
    plugin = registry.find(Kind.MODEL, "dcgan")
    context = BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=None, seed=0)
    return plugin.build(plugin.plugin.options(**options), context)


def build_step(
    networks: Networks, registry: Registry, lr: float = 1e-4, optimizer: type[Optimizer] = Adam
) -> TrainingStep:
    loss = registry.find(Kind.LOSS, "bce").plugin.build(None, None)
    factory = partial(optimizer, lr=lr)
    return TrainingStep(networks, loss, dict.fromkeys(PLAYERS, factory), make_rng(0, "latents"), "fp32", PLUGIN_NAMES)


def real_batch(images: Tensor) -> tuple[Tensor, Tensor]:
    return images[:BATCH], torch.zeros(BATCH, dtype=torch.int64)


def test_the_homeworks_networks_have_the_parameters_of_its_layers(registry: Registry) -> None:
    networks = build_networks(registry)
    count = {player: sum(parameter.numel() for parameter in networks[player].parameters()) for player in PLAYERS}
    assert count == {"generator": 2_305_473, "discriminator": 212_865}


def test_a_step_does_no_redundant_arithmetic(registry: Registry, images: Tensor) -> None:
    step = build_step(build_networks(registry), registry)
    with FlopCounterMode(display=False) as counter:
        step(*real_batch(images), (), on_phase_end=lambda _: None)
    assert counter.get_total_flops() / BATCH / 1e6 == pytest.approx(MFLOP_PER_IMAGE, abs=0.01)


def test_avoiding_redundant_arithmetic_does_not_change_the_weights(registry: Registry, images: Tensor) -> None:
    """Compare three steps with the textbook loop, which backpropagates through everything."""
    torch.manual_seed(0)  # the tolerance is close, so that the result would depend on the tests before
    networks = build_networks(registry, width=8, dropout=0.0)
    textbook = copy.deepcopy(networks)
    step = build_step(networks, registry, 0.1, SGD)  # Adam would amplify rounding errors of gradients near zero
    real, labels = real_batch(images)
    for _ in range(3):
        step(real, labels, (), on_phase_end=lambda _: None)

    optimizers = {player: SGD(textbook[player].parameters(), lr=0.1) for player in PLAYERS}
    latents = make_rng(0, "latents")
    bce = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    for _ in range(3):
        fake = textbook.generator(torch.randn(BATCH, 100, generator=latents))
        optimizers["discriminator"].zero_grad()
        (bce(textbook.discriminator(real), ones) + bce(textbook.discriminator(fake), zeros)).backward()
        optimizers["discriminator"].step()
        fake = textbook.generator(torch.randn(BATCH, 100, generator=latents))
        optimizers["generator"].zero_grad()
        bce(textbook.discriminator(fake), ones).backward()
        optimizers["generator"].step()

    for player in PLAYERS:
        for ours, theirs in zip(networks[player].parameters(), textbook[player].parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_each_update_changes_only_its_network(registry: Registry, images: Tensor) -> None:
    networks = build_networks(registry, width=8)
    step = build_step(networks, registry)
    before = copy.deepcopy(networks)
    updated = {}

    def note(player: str) -> None:
        updated[player] = [
            each
            for each in PLAYERS
            if any(
                not torch.equal(now, then)
                for now, then in zip(networks[each].parameters(), before[each].parameters(), strict=True)
            )
        ]

    step(*real_batch(images), (), on_phase_end=note)
    assert updated == {"discriminator": ["discriminator"], "generator": ["discriminator", "generator"]}


def test_with_simultaneous_updates_the_generator_does_not_see_the_discriminators_update(
    registry: Registry, images: Tensor
) -> None:
    """The generator is updated as if the discriminator were not, and the discriminator as usual."""

    def updated(scheme: str, frozen: bool = False) -> Networks:
        torch.manual_seed(0)
        networks = build_networks(registry, width=8, dropout=0.0)
        step = build_step(networks, registry)
        step.update_scheme = scheme
        if frozen:
            step.optimizers["discriminator"].param_groups[0]["lr"] = 0.0
        step(*real_batch(images), (), on_phase_end=lambda _: None)
        return networks

    def weights(networks: Networks, player: str) -> list[Tensor]:
        return list(networks[player].parameters())

    simultaneous, alternating, against_frozen = (
        updated("simultaneous"),
        updated("alternating"),
        updated("alternating", frozen=True),
    )
    torch.testing.assert_close(weights(simultaneous, "generator"), weights(against_frozen, "generator"), rtol=0, atol=0)
    torch.testing.assert_close(
        weights(simultaneous, "discriminator"), weights(alternating, "discriminator"), rtol=0, atol=0
    )
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            weights(simultaneous, "generator"), weights(alternating, "generator"), rtol=0, atol=0
        )


def test_parameters_that_a_plugin_froze_stay_frozen(registry: Registry, images: Tensor) -> None:
    networks = build_networks(registry, width=8)
    first = networks.generator.layers[0].weight.requires_grad_(False)
    before = first.clone()
    build_step(networks, registry)(*real_batch(images), (), on_phase_end=lambda _: None)
    assert torch.equal(first, before)


def test_a_network_without_parameters_is_not_updated(registry: Registry, images: Tensor) -> None:
    class Still(nn.Module):
        def forward(self, latent: Tensor) -> Tensor:
            return latent.new_zeros(len(latent), 1, 28, 28)

    discriminator = build_networks(registry, width=8).discriminator
    step = build_step(Networks(Still(), discriminator, latent_dim=3), registry)
    output = step(*real_batch(images), (), on_phase_end=lambda _: None)
    assert output.values.isfinite().all()


def test_a_loss_that_does_not_depend_on_its_network_is_named(registry: Registry, images: Tensor) -> None:
    step = build_step(build_networks(registry, width=8), registry)
    step.loss.generator_loss = lambda _, batch: (batch.real.mean(), {})
    with pytest.raises(PluginError, match="loss for the generator does not depend on the generator"):
        step(*real_batch(images), (), on_phase_end=lambda _: None)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_every_precision_trains_on_a_cpu(precision: str, registry: Registry, images: Tensor) -> None:
    networks = build_networks(registry, width=8)
    step = build_step(networks, registry)
    step.precision = precision
    output = step(*real_batch(images), (), on_phase_end=lambda _: None)
    assert output.values.isfinite().all()
    assert networks.generator.layers[0].weight.dtype == torch.float32


@pytest.mark.parametrize("around", ["nothing", "autocast"])
def test_bf16_learns_as_fp32_does_also_within_an_autocast_block(around: str, tmp_path: Path) -> None:
    learning = ["training.steps=40", "optimizer.generator={name='adam',lr=1e-3}"]
    learning += ["optimizer.discriminator={name='adam',lr=1e-3}"]
    exact, _ = own_run(tmp_path, "", learning, name="fp32")
    with nullcontext() if around == "nothing" else torch.autocast("cpu", torch.bfloat16):
        rounded, _ = own_run(tmp_path, "", [*learning, "training.precision=bf16"], name="bf16")
    for loss in ("d_loss", "g_loss"):
        first, *_, last = exact.history_lists()[loss]
        assert abs(last - first) > 0.1 * first
        assert rounded.history_lists()[loss][-1] == pytest.approx(last, rel=0.03)


def test_a_parameter_that_both_networks_share_learns_in_both_updates(registry: Registry, images: Tensor) -> None:
    trunk = nn.Linear(28 * 28, 28 * 28)
    generator = nn.Sequential(nn.Linear(3, 28 * 28), trunk, nn.Unflatten(1, (1, 28, 28)))
    discriminator = nn.Sequential(nn.Flatten(), trunk, nn.Linear(28 * 28, 1))
    step = build_step(Networks(generator, discriminator, latent_dim=3), registry)
    weights = [trunk.weight.detach().clone()]
    step(*real_batch(images), (), on_phase_end=lambda _: weights.append(trunk.weight.detach().clone()))
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    with pytest.raises(
        PluginError, match=r"the model: its networks share parameters.*training\.update_scheme=alternating"
    ):
        TrainingStep(step.networks, step.loss, {}, step.latents, "fp32", PLUGIN_NAMES, update_scheme="simultaneous")
