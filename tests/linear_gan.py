"""The smallest GAN on real images: linear networks, least squares, 40 images, and what tests make of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import torch
from conftest import PLUGIN_NAMES
from run_spec import run
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import TensorDataset

from ganbench import Networks, Players
from ganbench.data.batches import ResidentBatches
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.interfaces import PLAYERS
from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result
from ganbench.runtime.precision import Precision
from ganbench.runtime.rng import make_rng
from ganbench.spec.loading import load_spec
from ganbench.training.engines import EagerEngine
from ganbench.training.position import Position
from ganbench.training.step import TrainingStep
from ganbench_datasets.fashion_mnist.sources import embedded_subset

LATENT, PIXELS = 4, 28 * 28
IMAGES = 40


def few_images(first: int = 0) -> TensorDataset:
    images, labels = embedded_subset().test.tensors
    return TensorDataset(images[first : first + IMAGES], labels[first : first + IMAGES])


def other_images() -> TensorDataset:
    return few_images(IMAGES)


def generator() -> nn.Sequential:
    return nn.Sequential(nn.Linear(LATENT, PIXELS), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))


def discriminator() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 1))


class LeastSquares:
    """Least squares; a test may have `factor` change from step to step."""

    def factor(self) -> float:
        return 1.0

    def discriminator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return self.factor() * ((real - 1).square().mean() + fake.square().mean()), {}

    def generator_loss(self, players: Players, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return (players.discriminate(players.generate(batch)) - 1).square().mean(), {}


def make_eager(
    loss: Any = None,
    networks: Networks | None = None,
    factory: Any = None,
    precision: Precision = "fp32",
    **options: Any,
) -> EagerEngine:
    """A step of equal seeds, in batches of 8."""
    if networks is None:
        torch.manual_seed(0)
        networks = Networks(generator(), discriminator(), LATENT)
    latents = make_rng(0, "latents")
    step = TrainingStep(
        networks,
        loss or LeastSquares(),
        dict.fromkeys(PLAYERS, factory or partial(SGD, lr=1e-4)),
        latents,
        precision,
        PLUGIN_NAMES,
        **options,
    )
    return EagerEngine(step, ResidentBatches(few_images(), 8, torch.device("cpu"), make_rng(0, "order")))


def take(eager: EagerEngine, steps: int) -> list[list[float]]:
    """What each of some steps of one batch reports."""
    inputs = (torch.arange(8),)
    return [
        eager(inputs, Position(step, 8 * step), on_phase_end=lambda _: None).values.tolist() for step in range(steps)
    ]


class Noting(Callback):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)


PLUGIN = """
import torch
from torch import nn
from linear_gan import LATENT, PIXELS, IMAGES, LeastSquares, discriminator, few_images, generator, other_images
from ganbench import DatasetPlugin, ImageData, LossPlugin, ModelPlugin, Networks, OptimizerPlugin, hookimpl
"""
HOOKS = """
@hookimpl
def ganbench_models():
    build = globals().get("build_model", lambda o, c: Networks(generator(), discriminator(), LATENT))
    return [ModelPlugin(name="own", summary="Linear", build=build)]

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="own", summary="Own", build=globals().get("build_loss", lambda o, c: LeastSquares()))]

@hookimpl
def ganbench_datasets():
    def build(options, context):
        test = globals().get("test_split", other_images)()
        return ImageData(globals().get("train_split", few_images)(), test, 10, "own", "ef" * 32)

    return [DatasetPlugin(name="own", summary="Few images", build=build)]

@hookimpl
def ganbench_optimizers():
    build = globals().get("build_optimizer", lambda o, c: lambda p: torch.optim.SGD(p, lr=1e-4))
    return [OptimizerPlugin(name="own", summary="Own", build=build)]
"""
OVERRIDES = [
    *("model=own", "loss=own", "dataset=own", "optimizer.generator=own", "optimizer.discriminator=own"),
    *("metrics=[]", "sample_images.real=0", "sample_images.generated=0", "training.batch_size=8", "training.steps=5"),
]


def plugin(folder: Path, source: str) -> Registry:
    """The shipped plugins and one file in which `source` defines some of build_model, build_loss, train_split, ..."""
    (folder / "own.py").write_text(PLUGIN + dedent(source) + HOOKS)
    return Registry.load([str(folder / "own.py")])


def own_run(folder: Path, source: str, overrides: Iterable[str] = (), name: str = "run") -> tuple[Result, list[str]]:
    """The result of a run with a plugin of `source`, and its warnings."""
    spec = load_spec("dcgan-fashion", plugin(folder, source), [*OVERRIDES, *overrides])
    callback = Noting()
    result, _ = run(spec, device="cpu", out=folder / name, callback=callback)
    return result, callback.warnings


SCORED = ['metrics=[{name="fid", features="fashion-cnn", num_samples=20}]']
