"""The players that losses and penalties call: whose output is reused, and calls that change or detach images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import PLUGIN_NAMES
from linear_gan import LATENT, LeastSquares, few_images, generator, make_eager, own_run, take
from torch import Tensor, nn
from torch.optim import SGD

from ganbench import Batch, Networks, Players, PluginError
from ganbench.data.batches import normalize_images
from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.precision import autocast
from ganbench.runtime.ranks import SINGLE
from ganbench.runtime.rng import make_rng
from ganbench.training.penalties import Penalties, WeightedPenalty
from ganbench.training.players import NamedAugmentation, UpdatePlayers
from ganbench.training.step import TrainingStep
from ganbench_penalties.gradients import r1, r2

PIXELS = 28 * 28


class Projection(nn.Module):
    """A discriminator whose gradient depends on the label."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(10, PIXELS)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return (self.rows(labels) * images.flatten(1)).sum(1, keepdim=True)


def batch_of(count: int = 8) -> Batch:
    images, labels = few_images().tensors
    real = normalize_images(images[:count]).requires_grad_()
    return Batch(real, labels[:count].long(), torch.randn(count, LATENT), (labels[:count].long() + 1) % 10)


def players_of(discriminator: nn.Module, **more: Any) -> UpdatePlayers:
    networks = Networks(generator(), discriminator, LATENT, conditional=isinstance(discriminator, Projection))
    return UpdatePlayers(networks, networks.generator, networks.discriminator, **more)


def test_a_penalty_and_an_adaptive_augmentation_get_the_output_for_the_right_labels() -> None:
    """A matching-aware loss (Reed et al. 2016, arXiv:1605.05396) pairs real images with wrong labels, too."""
    seen: list[Tensor] = []

    class Adaptive:
        def __call__(self, images: Tensor) -> Tensor:
            return images

        def adapt(self, logits: Tensor) -> None:
            seen.append(logits)

    discriminator, batch = Projection(), batch_of()
    players = players_of(discriminator, augmentations=[NamedAugmentation("the augmentation", Adaptive())])
    players.discriminate(batch.real, (batch.labels + 3) % 10)
    right = players.discriminate(batch.real, batch.labels)
    expected = discriminator.rows(batch.labels).square().sum(1).mean() / 2
    assert r1(players, batch).item() == pytest.approx(expected.item())
    players.adapt_augmentations(batch, "the loss", SINGLE)
    assert torch.equal(seen[0], right)


def test_a_penalty_does_not_reuse_an_output_without_gradients() -> None:
    """Losses compute monitors within torch.no_grad()."""
    discriminator, batch = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 1)), batch_of()
    players = players_of(discriminator)
    with torch.no_grad():
        players.discriminate(batch.real)
    players.discriminate(batch.real)
    assert r1(players, batch).item() == pytest.approx(discriminator[1].weight.square().sum().item() / 2)


def test_images_that_were_generated_without_gradients_are_not_reused_for_training() -> None:
    players, batch = players_of(nn.Flatten()), batch_of()
    with torch.no_grad():
        shown = players.generate(batch)
        assert players.generate(batch) is shown
    images = players.generate(batch)
    assert images.requires_grad
    with torch.no_grad():
        assert torch.equal(images, shown)
    assert players.generate(batch) is images


def test_a_penalty_reuses_images_that_a_loss_for_the_discriminator_generated_without_gradients() -> None:
    """They are detached anyway, and generating them again would update batch norm twice."""
    players, batch = players_of(nn.Flatten(), detached_images=True, differentiable_images=True), batch_of()
    with torch.no_grad():
        shown = players.generate(batch)
    assert players.generate(batch) is shown
    assert players.input_gradient(shown).shape == shown.shape


def test_r2_is_as_exact_in_bf16_as_r1() -> None:
    """A generator returns bfloat16 images then, whose squared gradients must not be summed in bfloat16."""
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 1))
    players, batch = players_of(discriminator, differentiable_images=True), batch_of()
    rounded = discriminator[1].weight.bfloat16().double()  # the gradient for each image
    with autocast("bf16", torch.device("cpu")):
        assert players.generate(batch).dtype == torch.bfloat16
        values = [penalty(players, batch).item() for penalty in (r1, r2)]
    assert values == pytest.approx([rounded.square().sum().item() / 2] * 2, rel=1e-5)


IN_PLACE = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(PIXELS, 1))


class Dimming(LeastSquares):
    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        batch.real.mul_(0.5)
        return super().discriminator_loss(players, batch)


@pytest.mark.parametrize(
    ("loss", "discriminator", "augment", "message"),
    [
        (LeastSquares(), IN_PLACE, None, "^the model: its discriminator changes the images .* in place"),
        (LeastSquares(), None, lambda images: images.mul_(0.5), "^the augmentation changes the images .* in place"),
        (Dimming(), None, None, "^the loss changes the images .* in place"),
    ],
)
def test_a_change_of_the_images_in_place_is_refused(
    loss: Any, discriminator: Any, augment: Callable[[Tensor], Tensor] | None, message: str
) -> None:
    """Otherwise, the generator's update of a relativistic loss would get other real images, for example."""
    networks = Networks(generator(), discriminator or nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 1)), LATENT)
    augmentations = [NamedAugmentation("the augmentation", augment)] if augment else []
    with pytest.raises(PluginError, match=message):
        take(make_eager(loss, networks, augmentations=augmentations), 1)


def test_real_and_generated_images_are_augmented_in_float32_with_bf16() -> None:
    """A generator returns bfloat16 images then, and autocast would run a convolution such as a blur in bfloat16."""
    seen = []

    def blur(images: Tensor) -> Tensor:
        seen.append(images.dtype)
        return nn.functional.conv2d(images, torch.full((1, 1, 3, 3), 1 / 9), padding=1)

    augmentations = [NamedAugmentation("the augmentation", blur)] * 2
    eager = make_eager(
        augmentations=augmentations, penalties=Penalties([WeightedPenalty("r2", "r2", r2, 1.0)]), precision="bf16"
    )
    take(eager, 1)
    assert seen == [torch.float32] * 6  # real and generated images for the discriminator, and generated ones


def test_an_augmentation_through_which_the_generator_cannot_learn_is_named() -> None:
    for augment in (lambda images: images.detach() * 0.5, torch.no_grad()(lambda images: images * 0.5)):
        with pytest.raises(PluginError, match=r"^the augmentation: what it returned has no gradient"):
            take(make_eager(augmentations=[NamedAugmentation("the augmentation", augment)]), 1)


ONCE = """
from torch.autograd.function import once_differentiable
from ganbench import AugmentationPlugin
class Once(torch.autograd.Function):
    @staticmethod
    def forward(context, images):
        return images.clone()
    @staticmethod
    @once_differentiable
    def backward(context, gradient):
        return gradient
@hookimpl
def ganbench_augmentations():
    return [AugmentationPlugin(name="once", summary="-", build=lambda o, c: Once.apply)]
"""
ATTENTION = """
class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = discriminator()
    def forward(self, images):
        rows = nn.functional.scaled_dot_product_attention(images, images, images)
        return self.layers(rows)
build_model = lambda options, context: Networks(generator(), Attending(), LATENT)
"""


@pytest.mark.parametrize(("source", "used"), [(ONCE, ['augmentations=["once"]']), (ATTENTION, [])])
def test_a_penalty_through_an_operation_without_second_derivatives_is_refused(
    source: str, used: list[str], tmp_path: Any
) -> None:
    """Torch skips the gradient of the first one silently; for the second, it raises an error that names no plugin."""
    own_run(tmp_path, source, used, name="without")
    with pytest.raises(PluginError, match=r"penalty 'r1' \(from .*\) (may )?differentiates? .* twice") as raised:
        own_run(tmp_path, source, [*used, 'penalties=[{name="r1",weight=1.0}]'])
    assert "raised in discriminator_loss" not in str(raised.value)


def test_a_shared_layer_gets_the_gradients_of_a_textbook_loop() -> None:
    """The discriminator's loss trains it through the discriminator alone: a textbook loop detaches generated images."""

    def networks() -> Networks:
        torch.manual_seed(0)
        shared = nn.Linear(16, 16)
        make = nn.Sequential(nn.Linear(LATENT, 16), shared, nn.Linear(16, PIXELS), nn.Unflatten(1, (1, 28, 28)))
        return Networks(make, nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 16), shared, nn.Linear(16, 1)), LATENT)

    real = normalize_images(few_images().tensors[0][:8])
    ours, textbook = networks(), networks()
    factories = dict.fromkeys(PLAYERS, lambda parameters: SGD([each for _, each in parameters], lr=0.01))
    step = TrainingStep(ours, LeastSquares(), factories, make_rng(0, "latents"), "fp32", PLUGIN_NAMES)
    step(real, torch.zeros(8, dtype=torch.int64), (), lambda _: None)

    latents = make_rng(0, "latents")
    optimizers = {player: SGD(textbook[player].parameters(), lr=0.01) for player in PLAYERS}
    for player in PLAYERS:
        fake = textbook.generator(torch.randn(8, LATENT, generator=latents))
        if player == "discriminator":
            fake = fake.detach()
            loss = (textbook.discriminator(real) - 1).square().mean() + textbook.discriminator(fake).square().mean()
        else:
            loss = (textbook.discriminator(fake) - 1).square().mean()
        textbook.discriminator.zero_grad()
        textbook.generator.zero_grad()
        loss.backward()
        optimizers[player].step()
    for player in PLAYERS:
        for mine, theirs in zip(ours[player].parameters(), textbook[player].parameters(), strict=True):
            torch.testing.assert_close(mine, theirs)


class Bare(LeastSquares):
    """Calls the discriminator itself; `augmented` says which images it augments."""

    def __init__(self, *augmented: str) -> None:
        self.augmented = augmented

    def output(self, players: Players, images: Tensor, kind: str) -> Tensor:
        return players.networks.discriminator(players.augment(images) if kind in self.augmented else images)

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        real, fake = (
            self.output(players, images, kind)
            for images, kind in ((batch.real, "real"), (players.generate(batch), "generated"))
        )
        with torch.no_grad():
            overfitting = players.networks.discriminator(batch.real).mean()
        return (real - 1).square().mean() + fake.square().mean(), {"overfitting": overfitting}

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return (self.output(players, players.generate(batch), "for the generator") - 1).square().mean(), {}


class InOnePass(LeastSquares):
    """Passes real and generated images to the discriminator together."""

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        images = [players.augment(images) for images in (batch.real, players.generate(batch))]
        real, fake = players.networks.discriminator(torch.cat(images)).chunk(2)
        return (real - 1).square().mean() + fake.square().mean(), {}


HALVED = [NamedAugmentation("the augmentation", lambda images: images / 2)]


def test_a_loss_that_calls_the_discriminator_itself_can_augment_the_images() -> None:
    losses = [
        take(make_eager(loss, augmentations=HALVED), 2)
        for loss in (LeastSquares(), Bare("real", "generated", "for the generator"), InOnePass())
    ]
    both = [[step[:2] for step in steps] for steps in losses]  # without the monitor
    assert both[0] == both[1]
    torch.testing.assert_close(torch.tensor(both[0]), torch.tensor(both[2]))


class OfPart(LeastSquares):
    """Calls only parts of the discriminator."""

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        flatten, linear = players.networks.discriminator
        return linear(flatten(batch.real)).square().mean(), {}


@pytest.mark.parametrize(
    "loss",
    [
        Bare(),
        Bare("real", "for the generator"),
        Bare("generated", "for the generator"),
        Bare("real", "generated"),
        OfPart(),
    ],
    ids=["no images", "only real images", "only generated images", "not for the generator", "a part of the network"],
)
def test_a_loss_that_leaves_out_augmentations_is_refused(loss: Any) -> None:
    with pytest.raises(PluginError, match=r"^the augmentation has no effect on some images, because the loss calls"):
        take(make_eager(loss, augmentations=HALVED), 1)


class OwnFirst(LeastSquares):
    """Discriminates images with an augmentation of its own before those with the spec's."""

    def discriminator_loss(self, players: Players, batch: Batch) -> Any:
        own = players.networks.discriminator(players.augment(batch.real, lambda images: images + 1))
        loss, monitors = super().discriminator_loss(players, batch)
        return loss + own.square().mean(), monitors


def test_a_loss_may_use_an_augmentation_of_its_own_first() -> None:
    take(make_eager(OwnFirst(), augmentations=HALVED), 1)


def test_gradients_of_torch_func_may_be_taken_through_the_discriminator() -> None:
    class PerImage(LeastSquares):
        def discriminator_loss(self, players: Players, batch: Batch) -> Any:
            loss, monitors = super().discriminator_loss(players, batch)
            gradient = torch.func.grad(lambda images: players.discriminate(images).sum())(batch.real)
            return loss + gradient.square().mean(), monitors

    take(make_eager(PerImage(), augmentations=HALVED), 1)


def test_a_loss_applies_an_augmentation_of_its_own_in_float32_with_bf16_and_without_those_of_the_spec() -> None:
    seen = []

    def own(images: Tensor) -> Tensor:
        seen.append((images.dtype, torch.is_autocast_enabled("cpu")))
        return images + 1

    players, batch = players_of(nn.Flatten(), augmentations=HALVED), batch_of()
    with autocast("bf16", torch.device("cpu")):
        augmented = players.augment(batch.real.bfloat16(), own)
    assert seen == [(torch.float32, False)]
    assert torch.equal(augmented, batch.real.bfloat16().float() + 1)
    with pytest.raises(PluginError, match=r"^the augmentation function: .* must keep the shape"):
        players.augment(batch.real, lambda images: images[:1])
