"""A metric of one line, the brightness of images, and evaluators that score a small generator with it."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from conftest import PLUGIN_NAMES
from registries import with_plugins
from scored_subset import CPU, RECORD, context_with, data_of
from torch import Tensor, nn

from ganbench import BuildContext, MetricPlugin, Networks, Options, ReferenceImages, ScoreWarning
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.preparation import prepare_metrics
from ganbench.scoring.real_data import RealData
from ganbench.scoring.sampling import Sampler
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.loading import load_spec, resolve
from ganbench_losses.bce import BinaryCrossEntropy

BATCH = 16  # of the training
SCORING_BATCH = 250


def compute_with_warning(_: Brightness) -> float:
    """Replaces `Brightness.compute` in tests of warnings."""
    warnings.warn(ScoreWarning("too dark to compare"), stacklevel=1)
    return 1.0


class BrightnessOptions(Options):
    higher_is_better: bool = False


class Brightness:
    """A metric of one line: the mean grey level. Notes how many images it was given."""

    label = "brightness"
    protocol = {"implementation": "a test's"}

    def __init__(self, options: BrightnessOptions, context: BuildContext) -> None:
        self.higher_is_better = options.higher_is_better
        self.seen = 0
        self.levels: list[Tensor] = []

    def fit(self, reference: ReferenceImages) -> None:
        assert sum(len(images) for images in reference.batches()) == reference.count

    def update(self, images: Tensor) -> None:
        assert images.dtype == torch.uint8
        self.seen += len(images)
        self.levels.append(images.double().mean((1, 2, 3)))

    def compute(self) -> float:
        value = torch.cat(self.levels).mean().item()
        self.levels.clear()
        return value


class BrightnessScoring:
    """300 train and 200 test images, networks, and evaluators of them."""

    def __init__(self, registry: Registry, cache_dir: Path) -> None:
        self.registry = registry
        self.data, self.context = data_of(), context_with(cache_dir)
        torch.manual_seed(0)
        model = registry.find(Kind.MODEL, "dcgan")
        self.networks: Networks = model.build(model.plugin.options(width=8), self.context)
        self.sampler = Sampler(self.networks, PLUGIN_NAMES, (1, 28, 28), CPU, lambda _: None)
        self.batches: list[int] = []  # sizes of those that go through the generator, as they come
        self.networks.generator.register_forward_hook(
            lambda _module, _latents, images: self.batches.append(len(images))
        )

    def real_data(self) -> RealData:
        return RealData(self.data, RECORD, self.context, SCORING_BATCH)

    def brightness_spec(self, *choices: dict[str, Any]) -> BenchmarkSpec:
        plugin = MetricPlugin(name="brightness", summary="A test's", options=BrightnessOptions, build=Brightness)
        named = [{"name": "brightness", "id": f"brightness-{number}", **each} for number, each in enumerate(choices)]
        return spec_with(with_plugins(self.registry, plugin), *named)

    def evaluator_for(self, spec: BenchmarkSpec, loss: Any = None) -> Evaluator:
        loss, real_data = loss or BinaryCrossEntropy(), self.real_data()
        return Evaluator(
            prepare_metrics(spec, real_data, loss, self.networks, lambda _: None),
            real_data,
            loss,
            self.sampler,
            seed=self.context.seed,
            images_per_epoch=len(self.data.train),
            training_batch_size=BATCH,
            batch_size=SCORING_BATCH,
        )

    def evaluator(self, *choices: dict[str, Any]) -> Evaluator:
        """Of brightness of 20 images: `evaluator()`; of two: `evaluator({}, {"num_samples": 30})`."""
        return self.evaluator_for(self.brightness_spec(*(choices or ({},))))

    def shine(self, level: float) -> None:
        """Let the generator make images of one grey level, from -1 (black) to 1 (white)."""
        last = self.networks.generator.layers[-2]
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, math.atanh(level))


def spec_with(registry: Registry, *metrics: dict[str, Any]) -> BenchmarkSpec:
    """The homework's benchmark in small batches with these metrics, each of 20 images where nothing else is said."""
    homework = load_spec("dcgan-fashion", registry, ["metrics=[]", f"training.batch_size={BATCH}"])
    given = [{"num_samples": 20, **metric} for metric in metrics]
    return resolve({**homework.to_dict(), "metrics": given}, registry, origin="a test's")


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_unchanged(module: nn.Module, before: dict[str, Tensor]) -> None:
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def unfinished(*_: object) -> None:
    """A method of a metric that is not written yet."""
    raise NotImplementedError("to do")
