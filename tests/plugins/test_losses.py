"""The losses have the values and gradients of their papers, and each trains the homework's networks."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import UNSCORED
from linear_gan import Noting
from run_spec import run
from torch import Tensor, nn

from ganbench import Batch, Networks, Registry
from ganbench.authoring.new import Package, write_package
from ganbench.plugin import hookspecs
from ganbench.plugin.kinds import Kind
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.spec.loading import load_spec
from ganbench.training.players import UpdatePlayers
from ganbench_losses import ganbench_losses

COUNT = 32
NAMES = [plugin.name for plugin in ganbench_losses()]
Array = Any  # of NumPy, float64 (COUNT, 1)


def build(name: str) -> Any:
    (plugin,) = (each for each in ganbench_losses() if each.name == name)
    return plugin.build(plugin.options(), None)


def sigmoid(logits: Array) -> Array:
    return 1 / (1 + np.exp(-logits))


def expected_losses(name: str, real: Array, fake: Array) -> list[float]:
    """Return the losses of discriminator and generator, from their papers' formulas."""
    log_real, log_fake, log_not_fake = np.log(sigmoid(real)), np.log(sigmoid(fake)), np.log(1 - sigmoid(fake))
    values = {
        "bce": (-np.mean(log_real) - np.mean(log_not_fake), -np.mean(log_fake)),
        "minimax": (-np.mean(log_real) - np.mean(log_not_fake), np.mean(log_not_fake)),
        "lsgan": (0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean(fake**2), 0.5 * np.mean((fake - 1) ** 2)),
        "hinge": (np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake)), -np.mean(fake)),
        "wgan": (np.mean(fake) - np.mean(real), -np.mean(fake)),
        "rpgan": (np.mean(np.log(1 + np.exp(fake - real))), np.mean(np.log(1 + np.exp(real - fake)))),
    }
    return [float(value) for value in values[name]]


def expected_monitors(name: str, real: Array, fake: Array) -> dict[str, float]:
    scores = {"real_score": sigmoid(real).mean(), "fake_score": sigmoid(fake).mean()}
    return {
        "bce": scores,
        "minimax": scores,
        "lsgan": {"real_output": real.mean(), "fake_output": fake.mean()},
        "hinge": {"real_logit": real.mean(), "fake_logit": fake.mean()},
        "wgan": {"critic_estimate": real.mean() - fake.mean()},
        "rpgan": {"logit_difference": (real - fake).mean()},
    }[name]


# the values if no image can be told from another: at these outputs, the losses of discriminator and generator
EQUILIBRIA = {
    "bce": (0.0, 2 * math.log(2), math.log(2)),
    "minimax": (0.0, 2 * math.log(2), -math.log(2)),
    "lsgan": (0.5, 1 / 4, 1 / 8),
    "hinge": (0.0, 2.0, 0.0),
    "wgan": (3.0, 0.0, -3.0),
    "rpgan": (3.0, math.log(2), math.log(2)),
}


class Linear(nn.Module):
    """A linear discriminator that keeps its outputs, in the order of the calls."""

    def __init__(self, scale: float = 1.0, bias: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(scale * torch.randn(28 * 28, 1) / 28)
        self.bias = nn.Parameter(torch.tensor(bias))
        self.dtype = dtype
        self.outputs: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        output = (images.flatten(1) @ self.weight + self.bias).to(self.dtype)
        output.retain_grad()
        self.outputs.append(output)
        return output


def scene(images: Tensor, discriminator: nn.Module) -> tuple[UpdatePlayers, Batch]:
    """Return real images, and others as those of the generator."""
    generator = nn.Linear(1, 1)
    generator.forward = lambda _: images[COUNT : 2 * COUNT]  # type: ignore[method-assign]
    players = UpdatePlayers(Networks(generator, discriminator, 1), generator, discriminator)
    return players, Batch(images[:COUNT], torch.zeros(COUNT, dtype=torch.int64), torch.zeros(COUNT, 1))


def outputs(images: Tensor, discriminator: Linear) -> tuple[Array, Array]:
    """Return the outputs for real and fake images, computed in float64."""
    weight, bias = discriminator.weight.detach().double().numpy(), discriminator.bias.item()
    logits = images[: 2 * COUNT].flatten(1).double().numpy() @ weight + bias
    return logits[:COUNT], logits[COUNT:]


def both_losses(name: str, images: Tensor, discriminator: nn.Module) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Return the losses of discriminator and generator, and all monitors."""
    loss = build(name)
    d_loss, monitors = loss.discriminator_loss(*scene(images, discriminator))
    g_loss, others = loss.generator_loss(*scene(images, discriminator))
    return d_loss, g_loss, {key: value.item() for key, value in {**monitors, **others}.items()}


def logit_gradients(name: str, player: str, images: Tensor, discriminator: Linear) -> tuple[Tensor, Tensor]:
    """Return the gradients of a player's loss with respect to the real and the fake logits; the former may be 0."""
    players, batch = scene(images, discriminator)
    discriminator.outputs.clear()
    getattr(build(name), f"{player}_loss")(players, batch)[0].backward()
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in discriminator.outputs]
    return (gradients[0], gradients[1]) if len(gradients) == 2 else (torch.zeros_like(gradients[0]), gradients[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_has_the_value_of_its_paper_on_real_images(name: str, images: Tensor) -> None:
    discriminator = Linear(scale=3.0)
    expected = expected_losses(name, *outputs(images, discriminator))
    d_loss, g_loss, _ = both_losses(name, images, discriminator)
    assert [d_loss.item(), g_loss.item()] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_at_equilibrium_a_loss_has_its_known_value(name: str, images: Tensor) -> None:
    output, d_expected, g_expected = EQUILIBRIA[name]
    d_loss, g_loss, _ = both_losses(name, images, Linear(scale=0.0, bias=output))
    assert (d_loss.item(), g_loss.item()) == pytest.approx((d_expected, g_expected), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_discriminator_separates_the_outputs_and_the_generator_raises_the_fake_ones(
    name: str, images: Tensor
) -> None:
    discriminator = Linear(scale=0.1, bias=0.5)  # between the targets 0 and 1 of lsgan
    real, fake = logit_gradients(name, "discriminator", images, discriminator)
    assert (real < 0).all()
    assert (fake > 0).all()
    _, fake = logit_gradients(name, "generator", images, discriminator)
    assert (fake < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_mean_over_bfloat16_outputs_is_taken_in_float32(name: str, images: Tensor) -> None:
    discriminator = Linear(scale=3.0, dtype=torch.bfloat16)
    d_loss, g_loss, _ = both_losses(name, images, discriminator)
    real, fake = (output.detach().double().numpy() for output in discriminator.outputs[:2])
    assert d_loss.dtype == g_loss.dtype == torch.float32
    expected = expected_losses(name, real, fake)
    assert [d_loss.item(), g_loss.item()] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_monitors_real_and_fake_outputs(name: str, images: Tensor) -> None:
    discriminator = Linear(scale=3.0)
    _, _, monitors = both_losses(name, images, discriminator)
    expected = expected_monitors(name, *outputs(images, discriminator))
    assert monitors == pytest.approx(expected, rel=1e-5, abs=1e-6)


class ByLabel(nn.Module):
    """A conditional discriminator whose output is the number of the label."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.scale * labels[:, None].float()


@pytest.mark.parametrize("name", NAMES)
def test_a_conditional_discriminator_gets_the_labels_of_the_images(name: str, images: Tensor) -> None:
    generator, discriminator = nn.Linear(1, 1), ByLabel()
    generator.forward = lambda _, labels: images[: len(labels)]  # type: ignore[method-assign,misc]
    players = UpdatePlayers(Networks(generator, discriminator, 1, conditional=True), generator, discriminator)
    labels, fake_labels = torch.arange(COUNT) % 3, torch.arange(COUNT) % 5
    batch = Batch(images[:COUNT], labels, torch.zeros(COUNT, 1), fake_labels)
    real, fake = labels[:, None].double().numpy(), fake_labels[:, None].double().numpy()
    loss = build(name)
    values = [loss.discriminator_loss(players, batch)[0].item(), loss.generator_loss(players, batch)[0].item()]
    assert values == pytest.approx(expected_losses(name, real, fake), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "slope"), [("minimax", 0.0), ("bce", 1.0), ("hinge", 1.0), ("wgan", 1.0)])
def test_only_minimax_saturates_if_the_discriminator_rejects_all_generated_images(
    name: str, slope: float, images: Tensor
) -> None:
    """The slope is the generator's gradient per image, at a logit of -20."""
    _, fake = logit_gradients(name, "generator", images, Linear(scale=0.0, bias=-20.0))
    assert (-COUNT * fake).numpy() == pytest.approx(np.full((COUNT, 1), slope), abs=1e-6)


@pytest.mark.parametrize("logit", [-20.0, -0.5, 0.5, 20.0])
def test_the_hinge_margin_limits_the_discriminator_but_not_the_generator(logit: float, images: Tensor) -> None:
    discriminator = Linear(scale=0.0, bias=logit)
    real, fake = logit_gradients("hinge", "discriminator", images, discriminator)
    assert real.ne(0).all() == (logit < 1)
    assert fake.ne(0).all() == (logit > -1)
    _, fake = logit_gradients("hinge", "generator", images, discriminator)
    assert fake.numpy() == pytest.approx(np.full((COUNT, 1), -1 / COUNT))


def test_rpgan_compares_each_generated_image_with_its_real_one(images: Tensor) -> None:
    """With the same images in the same order, all differences are 0; in another order, they are not."""
    pair = images[:COUNT].repeat(2, 1, 1, 1)
    discriminator = Linear(scale=3.0)
    d_loss, g_loss, _ = both_losses("rpgan", pair, discriminator)
    assert (d_loss.item(), g_loss.item()) == pytest.approx((math.log(2), math.log(2)))
    d_loss, g_loss, _ = both_losses("rpgan", torch.cat([pair[:COUNT], pair[:COUNT].flip(0)]), discriminator)
    assert min(d_loss.item(), g_loss.item()) > 1.1 * math.log(2)


def test_only_rpgan_uses_real_images_in_the_generators_update(images: Tensor) -> None:
    others = torch.cat([-images[:COUNT], images[COUNT : 2 * COUNT]])
    changed = [
        name
        for name in NAMES
        if both_losses(name, images, Linear())[1].item() != both_losses(name, others, Linear())[1].item()
    ]
    assert changed == ["rpgan"]


# the benchmarks

SCHEDULE = ("model", "dataset", "training", "sample_images", "metrics", "augmentations", "ema", "engine", "data")
BENCHMARKS = {
    "minimax-fashion": ["real_score", "fake_score"],
    "lsgan-fashion": ["real_output", "fake_output"],
    "hinge-fashion": ["real_logit", "fake_logit"],
    "wgan-fashion": ["critic_estimate"],
    "wgan-gp-fashion": ["critic_estimate", "gradient-penalty"],
    "rpgan-fashion": ["logit_difference", "r1", "r2"],
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_differs_from_the_homeworks_only_in_objective_and_optimizers(name: str, registry: Registry) -> None:
    own, homework = (load_spec(each, registry).to_dict() for each in (name, "dcgan-fashion"))
    own["training"]["discriminator_steps"] = 1
    assert [own.get(key) for key in SCHEDULE] == [homework.get(key) for key in SCHEDULE]
    assert own["loss"] != homework["loss"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_trains_without_warning_of_batch_norm(name: str, registry: Registry, tmp_path: Path) -> None:
    spec = load_spec(name, registry, [*UNSCORED, "training.steps=2", "training.batch_size=16"])
    noting = Noting()
    result, _ = run(spec, device="cpu", out=tmp_path / "run", callback=noting)
    assert result.status == "completed"
    (row,) = result.history
    assert list(row.monitors) == BENCHMARKS[name]
    assert row.images == 2 * 16 * (5 if name.startswith("wgan") else 1)
    assert not [warning for warning in noting.warnings if "batch norm" in warning]
    weights = load_checkpoint(tmp_path / "run" / "checkpoint.pt").state["networks"]["discriminator"].values()
    largest = max(weight.abs().max().item() for weight in weights)
    assert (largest == pytest.approx(0.01)) == (name == "wgan-fashion")


def example_file(folder: Path) -> Path:
    return Path(__file__).parents[2] / "docs" / "examples" / "wgan_gp.py"


def hook_file(folder: Path) -> Path:
    code = (inspect.getdoc(hookspecs.ganbench_losses) or "").partition("\n\n")[2]
    (folder / "hook.py").write_text(code, encoding="utf-8")
    return folder / "hook.py"


def new_file(folder: Path) -> Path:
    write_package(Package("mine", Kind.LOSS), folder / "new")
    return folder / "new" / "ganbench_mine.py"


def tutorial_file(folder: Path) -> Path:
    page = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
    code = page.partition("<!-- file: ganbench_huber.py -->\n```python\n")[2].partition("```")[0]
    (folder / "huber.py").write_text(code, encoding="utf-8")
    return folder / "huber.py"


@pytest.mark.parametrize("write", [example_file, hook_file, new_file, tutorial_file])
def test_ada_warns_of_a_documented_loss_whose_output_is_not_a_logit(write: Any, tmp_path: Path) -> None:
    file = str(write(tmp_path))
    registry = Registry.load([file])
    (name,) = [each.plugin.name for each in registry.of_kind(Kind.LOSS) if each.provider.given == file]
    overrides = [f"loss={name}", 'augmentations=["ada"]', "model.width=4", "training.steps=1", *UNSCORED]
    spec = load_spec("dcgan-fashion", registry, overrides)
    callback = Noting()
    run(spec, device="cpu", out=tmp_path / "run", callback=callback)
    assert [each for each in callback.warnings if "adapts to the sign of the discriminator's output" in each]
