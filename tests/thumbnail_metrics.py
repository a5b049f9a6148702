"""An evaluator with metrics over thumbnails of images, and a generator that is a single linear layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from conftest import PLUGIN_NAMES
from registries import with_plugins
from scored_subset import CPU, RECORD, TRAIN, context_with, data_of
from torch import Tensor, nn

from ganbench import (
    BuildContext,
    FeatureExtractorConfig,
    FeatureExtractorPlugin,
    Features,
    ImageData,
    MetricPlugin,
    Networks,
    Options,
    ReferenceImages,
)
from ganbench.data.labels import LabelSampler
from ganbench.plugin.registry import Registry
from ganbench.results.schema import DataRecord
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.preparation import prepare_metrics
from ganbench.scoring.real_data import RealData
from ganbench.scoring.sampling import Sampler
from ganbench.spec.loading import load_spec, resolve
from ganbench_losses.bce import BinaryCrossEntropy

SAMPLES = 130  # images that a metric generates
LATENT = 4
SCORING_BATCH = 64
SEEN: dict[int, int] = {}  # how many images an extractor was called with, by its number of cells


class ThumbnailOptions(Options):
    cells: int = 4
    half: bool = False


class Thumbnail(nn.Module):
    """The image itself at a few pixels a side. Counts the images that it is called with."""

    def __init__(self, options: ThumbnailOptions) -> None:
        super().__init__()
        self.cells, self.half = options.cells, options.half
        self.num_features = options.cells**2
        self.protocol = {"extractor": f"thumbnail-{options.cells}"}

    def forward(self, images: Tensor) -> Tensor:
        SEEN[self.cells] = SEEN.get(self.cells, 0) + len(images)
        pixels = nn.functional.adaptive_avg_pool2d(images.float().mean(1), self.cells).flatten(1)
        return pixels.bfloat16() if self.half else pixels


class ComparingOptions(Options):
    features: FeatureExtractorConfig


class Means:
    """The distance between the means of features."""

    higher_is_better: Any = False
    protocol: dict[str, Any] = {}

    def __init__(self, features: Thumbnail) -> None:
        self.features = features
        self.label = f"{type(self).__name__.lower()} ({features.protocol['extractor']})"

    def mean(self, features: Features) -> Tensor:
        return sum(batch.double().sum(0) for batch in features.batches()) / len(features)

    def score(self, real: Features, generated: Features) -> Any:
        return (self.mean(generated) - self.mean(real)).norm().item()


class Extremes(Means):
    """Two values: the difference of the means, and the share of pixels that are brighter than the mean real one."""

    higher_is_better = {"distance": False, "brighter": True}

    def score(self, real: Features, generated: Features) -> dict[str, float]:
        mean = self.mean(real)
        brighter = torch.cat([batch > mean for batch in generated.batches()]).double().mean()
        return {"distance": super().score(real, generated), "brighter": brighter.item()}


class Spread(Means):
    """Features' deviation, with what it derives of real images' features."""

    def score(self, real: Features, generated: Features) -> float:
        ours, theirs = (each.derived("mean", lambda each=each: {"mean": self.mean(each)}) for each in (real, generated))
        return (ours["mean"] - theirs["mean"]).abs().max().item()


class ByClass(Means):
    """The distance between the means of each class; records the labels of the features."""

    uses_labels = True
    came: list[tuple[Tensor, Tensor]] = []

    def score(self, real: Features, generated: Features) -> float:
        ByClass.came.append((real.labels, generated.labels))
        assert len(generated.labels) == len(generated)
        sides = []
        for each in (real, generated):
            values = torch.cat(list(each.batches())).double()
            classes = [values[each.labels == label].sum(0) for label in range(10)]
            sides.append(torch.stack(classes) / len(each))
        return (sides[0] - sides[1]).norm().item()


class LabelledImages:
    """An image metric with labels: the share of labels that are 0. Notes the labels that it sees."""

    label, higher_is_better, protocol, uses_labels = "labelled", False, {}, True
    came: list[Tensor] = []

    def __init__(self) -> None:
        self.fitted: Tensor | None = None
        self.labels: list[Tensor] = []

    def fit(self, reference: ReferenceImages) -> None:
        assert reference.labels is not None
        assert len(reference.labels) == reference.count
        self.fitted = reference.labels

    def update(self, images: Tensor, labels: Tensor) -> None:
        assert len(images) == len(labels)
        self.labels.append(labels)

    def compute(self) -> float:
        labels = torch.cat(self.labels)
        LabelledImages.came.append(labels)
        self.labels.clear()
        return labels.eq(0).double().mean().item()


def forget() -> None:
    """Forget what the plugins have seen."""
    SEEN.clear()
    ByClass.came.clear()
    LabelledImages.came.clear()


def with_thumbnails(registry: Registry) -> Registry:
    """Return the shipped plugins and those above."""
    plugins = [
        FeatureExtractorPlugin(
            name="thumbnail", summary="-", options=ThumbnailOptions, build=lambda options, _: Thumbnail(options).eval()
        ),
        MetricPlugin(name="labelled", summary="-", build=lambda *_: LabelledImages()),
    ]
    for metric in (Means, Extremes, Spread, ByClass):

        def build(options: ComparingOptions, context: BuildContext, metric: type[Means] = metric) -> Means:
            return metric(options.features.build(context))

        plugins.append(MetricPlugin(name=metric.__name__.lower(), summary="-", options=ComparingOptions, build=build))
    return with_plugins(registry, *plugins)


class Shining(nn.Module):
    """A generator of one part of real images each, weighted by the latent; it looks at the labels if it has any."""

    def __init__(self, conditional: bool) -> None:
        super().__init__()
        self.conditional = conditional
        self.linear = nn.Linear(LATENT, 28 * 28)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        images = self.linear(latent).tanh()
        if labels is not None:
            images = images * (labels[:, None] / 10)
        assert (labels is not None) == self.conditional
        return images.view(-1, 1, 28, 28)


def networks_of(conditional: bool = False, seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    return Networks(Shining(conditional), nn.Flatten(), LATENT, conditional)


class Scoring:
    """An evaluator, with all that it is made of."""

    def __init__(
        self,
        registry: Registry,
        cache_dir: Path,
        metrics: list[dict[str, Any]],
        *,
        data: ImageData | None = None,
        record: DataRecord = RECORD,
        conditional: bool = False,
        average: nn.Module | None = None,
    ) -> None:
        homework = load_spec("dcgan-fashion", registry, ["metrics=[]"])
        given = [{"num_samples": SAMPLES, **metric} for metric in metrics]
        ema = {} if average is None else {"ema": {"half_life_kimg": 10.0}}
        spec = resolve({**homework.to_dict(), **ema, "metrics": given}, registry, origin="a test's")
        self.data, self.networks, loss = data or data_of(), networks_of(conditional), BinaryCrossEntropy()
        real_data = RealData(self.data, record, context_with(cache_dir), SCORING_BATCH)
        self.prepared = prepare_metrics(spec, real_data, loss, self.networks, lambda _: None)
        labels = None
        if conditional:
            counts = torch.bincount(self.data.train.tensors[1].long(), minlength=10).tolist()
            labels = LabelSampler(counts, CPU)
        sampler = Sampler(
            self.networks,
            PLUGIN_NAMES,
            (1, 28, 28),
            CPU,
            lambda _: None,
            labels=labels,
            average=None if average is None else lambda: average,
        )
        self.evaluator = Evaluator(
            self.prepared,
            real_data,
            loss,
            sampler,
            seed=7,
            images_per_epoch=TRAIN,
            training_batch_size=16,
            batch_size=SCORING_BATCH,
        )

    def scores(self, images: int = 0) -> list[float | None]:
        """Of the generator as it is."""
        return [point.value for _, point in self.evaluator.evaluate(self.networks, images)]


def over(cells: int, name: str = "means", **keys: Any) -> dict[str, Any]:
    """A metric over thumbnails of so many pixels a side."""
    return {"name": name, "features": {"name": "thumbnail", "cells": cells}, **keys}


def directly(data: ImageData, generated: Tensor) -> float:
    """The distance between the mean thumbnails of the test split and of generated images."""
    extractor = Thumbnail(ThumbnailOptions())
    sides = [extractor(images).double().mean(0) for images in (data.test.tensors[0], generated)]
    return (sides[0] - sides[1]).norm().item()
