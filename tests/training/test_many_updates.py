"""Steps with several discriminator updates, larger generator batches, and the counting of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_gan import IMAGES, LATENT, LeastSquares, discriminator, few_images, generator, make_eager, own_run
from torch import Tensor
from torch.optim import SGD

from ganbench import Batch, Networks, Players, UsageError
from ganbench.runtime.rng import make_rng
from ganbench.training.optimizers import Clipping
from ganbench.training.penalties import Penalties
from ganbench.training.step import UpdateSizes


class Recording(LeastSquares):
    """Keeps the batches of every update."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, Batch]] = []

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        self.batches.append(("discriminator", batch))
        return super().discriminator_loss(players, batch)

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        self.batches.append(("generator", batch))
        return super().generator_loss(players, batch)


def step_of(images: int, **options: Any) -> tuple[Recording, list[float], Networks]:
    """Take a step on the first real images; return the loss, the output of the step, and the networks."""
    loss = Recording()
    torch.manual_seed(0)
    networks = Networks(generator(), discriminator(), LATENT)
    eager = make_eager(loss, networks, factory=partial(SGD, lr=0.01), **options)
    real = few_images().tensors[0][:images].float() / 127.5 - 1
    output = eager.step(real, torch.arange(images), eager.step.penalties.due(0), on_phase_end=lambda _: None)
    return loss, output.values.tolist(), networks


def test_each_discriminator_update_sees_other_real_images_and_the_generator_the_last() -> None:
    loss, (d_loss, _), _ = step_of(20, sizes=UpdateSizes(discriminator=8, generator=12))
    assert [(player, batch.labels.tolist()) for player, batch in loss.batches] == [
        ("discriminator", list(range(8))),
        ("discriminator", list(range(8, 16))),
        ("discriminator", list(range(16, 20))),
        ("generator", list(range(8, 20))),
    ]
    assert all(len(batch.latent) == len(batch.real) for _, batch in loss.batches)
    latents = torch.cat([batch.latent for _, batch in loss.batches])
    assert len(latents.unique(dim=0)) == len(latents)
    assert d_loss > 0


def test_the_updates_equal_those_of_a_textbook_loop() -> None:
    """Algorithm 1 of Gulrajani et al. 2017: updates of the critic on fresh images, then one of the generator."""
    _, (d_loss, g_loss), networks = step_of(24, sizes=UpdateSizes(discriminator=8))
    torch.manual_seed(0)
    g, d = generator(), discriminator()
    latents = make_rng(0, "latents")
    optimizers = SGD(g.parameters(), lr=0.01), SGD(d.parameters(), lr=0.01)
    real = few_images().tensors[0][:24].float() / 127.5 - 1
    d_losses = []
    for images in real.split(8):
        fake = g(torch.randn(8, LATENT, generator=latents)).detach()
        loss = (d(images) - 1).square().mean() + d(fake).square().mean()
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        d_losses.append(loss.item())
    loss = (d(g(torch.randn(8, LATENT, generator=latents))) - 1).square().mean()
    optimizers[0].zero_grad()
    loss.backward()
    optimizers[0].step()
    assert d_loss == pytest.approx(sum(d_losses) / 3)
    assert g_loss == pytest.approx(loss.item())
    for ours, theirs in ((networks.generator, g), (networks.discriminator, d)):
        for mine, textbook in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, textbook, rtol=0, atol=0)


def test_images_steps_and_epochs_count_real_images_shown_to_the_discriminator(tmp_path: Path) -> None:
    length = ["training.batch_size=6", "training.discriminator_steps=3", "training.steps=6"]
    result, _ = own_run(tmp_path, "", length)
    assert [row.images for row in result.history] == [IMAGES, IMAGES]  # in steps of 18, 18 and 4
    assert sum(window.images for window in result.throughput.windows) == 2 * IMAGES
    one, _ = own_run(tmp_path, "", ["training.batch_size=18", "training.steps=6"], name="one")
    assert (
        result.throughput.roofline.flops_per_image < one.throughput.roofline.flops_per_image
    )  # fewer of the generator


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["training.discriminator_steps=2", "training.update_scheme=simultaneous"],
            "discriminator_steps must be 1 with",
        ),
        (["training.generator_batch_size=9"], "generator_batch_size must be at most .* = 8, .*; got 9"),
        (["training.discriminator_steps=6"], r"training.batch_size \* discriminator_steps: 48 is more than the 40"),
        (["training.discriminator_steps=0"], r"training\.discriminator_steps: .* at least 1"),
    ],
)
def test_invalid_combinations_are_refused(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        own_run(tmp_path, "", overrides)


def test_gradients_are_clipped_to_the_maximum_norm_and_weights_are_clamped() -> None:
    before = step_of(8)[2]
    for largest in (1e-3, 1e3):
        _, _, clipped = step_of(8, clipping={"discriminator": Clipping(max_grad_norm=largest)})
        weights = [parameter.grad for parameter in clipped.discriminator.parameters()]
        norm = torch.cat([gradient.flatten() for gradient in weights]).norm().item()
        assert norm <= largest * 1.001
        same = torch.equal(clipped.discriminator[1].weight, before.discriminator[1].weight)
        assert same == (largest > 1)
    _, _, clamped = step_of(8, clipping={"discriminator": Clipping(max_weight=0.01)})
    assert clamped.discriminator[1].weight.abs().max() == 0.01
    assert clamped.generator[0].weight.abs().max() > 0.01


def test_no_penalties_means_one_kind_of_step() -> None:
    assert Penalties().due(7) == ()


def test_optimizers_get_the_names_of_parameters(tmp_path: Path) -> None:
    source = """
    names = []
    def build_optimizer(options, context):
        def make(parameters):
            decayed = [(name, p) for name, p in parameters if not name.endswith("bias")]
            plain = [(name, p) for name, p in parameters if name.endswith("bias")]
            names.append(([name for name, _ in decayed], [name for name, _ in plain]))
            return torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}])
        return make
    def build_loss(options, context):
        class Check(LeastSquares):
            def state_dict(self):
                assert names == [(["1.weight"], ["1.bias"]), (["0.weight"], ["0.bias"])], names
                return {}
            def load_state_dict(self, state): pass
        return Check()
    """
    result, _ = own_run(tmp_path, source)
    assert result.status == "completed"


def test_only_training_uses_flipped_images(tmp_path: Path) -> None:
    scored = ['metrics=[{name="fid",features="fashion-cnn",num_samples=20}]', "sample_images.real=4"]
    plain, _ = own_run(tmp_path, "", scored, name="plain")
    mirrored, _ = own_run(tmp_path, "", [*scored, "training.horizontal_flips=true"], name="mirrored")
    assert plain.history[0].d_loss != mirrored.history[0].d_loss
    assert plain.metrics[0].real_data_score == mirrored.metrics[0].real_data_score
    assert plain.metrics[0].curve[0] == mirrored.metrics[0].curve[0]
    real = [(tmp_path / name / "samples" / "real.png").read_bytes() for name in ("plain", "mirrored")]
    assert real[0] == real[1]
