"""A short run on real images, with a metric whose score identifies the images that were scored."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import torch
from registries import PROVIDER
from run_spec import run
from torch import Tensor

from ganbench import BuildContext, MetricPlugin, Options
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registered, Registry
from ganbench.results.schema import Result
from ganbench.spec.configs import GeneratorMode, Weights
from ganbench.spec.loading import load_spec

THREE_STEPS = [
    *("dataset.source=embedded", "model.width=2", "training.steps=3", "training.batch_size=20"),
    *("sample_images.real=0", "sample_images.generated=0"),
]


def number_of(images: Tensor) -> float:
    """A number that differs if a single pixel does."""
    return float(int.from_bytes(hashlib.sha256(images.numpy().tobytes()).digest()[:6], "big"))


class ImageHash:
    """A metric whose score identifies the images that it was given."""

    label, higher_is_better, protocol = "hash", True, {}

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def fit(self, reference: object) -> None:
        pass

    def update(self, images: Tensor) -> None:
        self.images.append(images)

    def compute(self) -> float:
        images, self.images = torch.cat(self.images), []
        return number_of(images)


def build_hash(options: Options, context: BuildContext) -> ImageHash:
    return ImageHash()


def with_hash(registry: Registry) -> Registry:
    """Add the metric `image-hash`."""
    plugin = MetricPlugin(name="image-hash", summary="Hash", build=build_hash)
    if not any(found.plugin.name == "image-hash" for found in registry.of_kind(Kind.METRIC)):
        registry.add(Registered(plugin, PROVIDER))
    return registry


def scored(count: int, weights: Weights = "raw", mode: GeneratorMode = "eval") -> str:
    return f"{{name='image-hash',num_samples={count},weights='{weights}',generator_mode='{mode}',at_epochs=[]}}"


def make_run(registry: Registry, out: Path, overrides: list[str]) -> Result:
    spec = load_spec("dcgan-fashion", registry, overrides)
    return run(spec, device="cpu", out=out)[0]


def trained_run(folder: Path, *overrides: str) -> tuple[Path, Result]:
    """Return a short run with a moving average, moved after it ended, and its result."""
    metrics = [scored(70), scored(33, "ema"), scored(50, "raw", "train")]
    own = ["ema.half_life_kimg=0.05", "ema.ramp=1", "optimizer.generator.lr=0.01", "scoring.batch_size=30"]
    own.append(f"metrics=[{','.join(metrics)}]")
    result = make_run(with_hash(Registry.load()), folder / "run", [*THREE_STEPS, *own, *overrides])
    shutil.move(folder / "run", folder / "moved")
    return folder / "moved", result
