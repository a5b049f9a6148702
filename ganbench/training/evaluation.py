"""Scoring what the generator makes, with everything that a score depends on."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version

from ganbench.files import read_cache, write_cache
from ganbench.plugin import BuildContext
from ganbench.protocols import ImageData, Loss, Metric, Networks, NetworksMetric, ReferenceImages
from ganbench.result import MetricResult, Point
from ganbench.spec import Choice, GeneratorMode, MetricChoice

from .data import select_images
from .sampling import NotFiniteError, Sampler, isolated, kept
from .seeds import stream

EVALUATION_BATCH = 250
FLOOR_SEED = 0  # the same real images in every run, so that their score can be kept


@dataclass
class ScoredMetric:
    """A metric of the benchmark with its stamp, its floor and the values so far."""

    choice: MetricChoice
    metric: Metric | NetworksMetric
    stamp: dict[str, Any]
    floor: float | None
    floor_samples: int
    curve: list[Point] = field(default_factory=list)

    def result(self, images_done: int) -> MetricResult:
        """What the run tells of the metric, `images_done` being where its training ended."""
        finite = [(point.value, point) for point in self.curve if point.value is not None]
        pick = min if self.metric.better == "lower" else max
        return MetricResult(
            name=self.choice.name,
            label=self.metric.label,
            value=self.curve[-1].value if self.curve[-1].images == images_done else None,
            better=self.metric.better,
            best=pick(finite, key=lambda pair: pair[0])[1] if finite else None,
            curve=self.curve,
            floor=self.floor,
            floor_samples=self.floor_samples,
            stamp=self.stamp,
        )


class Evaluator:
    """Builds a benchmark's metrics and scores the generator with them."""

    def __init__(
        self,
        choices: list[MetricChoice],
        data: ImageData,
        loss: Loss,
        loss_stamp: dict[str, Any],
        context: BuildContext,
        training_batch_size: int,
        sampler: Sampler,
        images_per_epoch: int,
    ) -> None:
        self.data = data
        self.loss = loss
        self.loss_stamp = loss_stamp  # what a metric of the networks may mean by its loss
        self.device = torch.device(context.device)
        self.seed = context.seed
        self.training_batch_size = training_batch_size
        self.sampler = sampler
        self.images_per_epoch = images_per_epoch
        self.metrics = [self._prepare(choice, context) for choice in choices]

    def is_due(self, epoch: int) -> bool:
        return any(epoch in scored.choice.at_epochs for scored in self.metrics)

    def evaluate(self, networks: Networks, images_done: int, epoch: int | None) -> list[tuple[str, Point]]:
        """Score the generator with the metrics that are due after `epoch`; None is the end, when all are."""
        due = [scored for scored in self.metrics if epoch is None or epoch in scored.choice.at_epochs]
        due = [scored for scored in due if not scored.curve or scored.curve[-1].images != images_done]
        with isolated(self.seed, self.device):
            not_finite = self._show_images([scored for scored in due if isinstance(scored.metric, Metric)])
            for scored in due:
                value = self._value(scored, networks)  # also of what counts for nothing, so that it is forgotten
                value = None if scored in not_finite else value
                scored.curve.append(Point(epoch=images_done / self.images_per_epoch, images=images_done, value=value))
        return [(scored.metric.label, scored.curve[-1]) for scored in due]

    def _show_images(self, due: list[ScoredMetric]) -> list[ScoredMetric]:
        """Let metrics take in generated images, which those share that want the same.

        Returns the metrics that were given images with NaN or infinite numbers in them.
        """
        not_finite: list[ScoredMetric] = []
        for mode, count in dict.fromkeys((scored.choice.generator_mode, scored.choice.samples) for scored in due):
            sharing = [s for s in due if (s.choice.generator_mode, s.choice.samples) == (mode, count)]
            latents = stream(self.seed, "evaluation")
            try:
                for batch in self.sampler.generate(mode, count, self._batch_size(mode), latents):
                    for scored in sharing:
                        assert isinstance(scored.metric, Metric)
                        with scored.choice.plugin.blamed("raised in update"):
                            scored.metric.update(batch)
            except NotFiniteError as error:
                self.sampler.warn_once("not finite", str(error))
                not_finite += sharing
        return not_finite

    def _value(self, scored: ScoredMetric, networks: Networks) -> float | None:
        """The score of what the metric has taken in, or of the networks; None where it is not finite."""
        if isinstance(scored.metric, Metric):
            return compute(scored.choice, scored.metric)
        with scored.choice.plugin.blamed("raised in measure"), kept(networks, self.loss):
            value = float(scored.metric.measure(networks, self.loss))
        return value if math.isfinite(value) else None

    def curves(self) -> dict[str, list[Point]]:
        """The values so far, by the metrics' labels."""
        return {scored.metric.label: list(scored.curve) for scored in self.metrics}

    def go_on_from(self, curves: dict[str, list[Point]]) -> None:
        """Take values that were computed before for one's own."""
        for scored in self.metrics:
            scored.curve = list(curves.get(scored.metric.label, []))

    def results(self, images_done: int) -> list[MetricResult]:
        return [scored.result(images_done) for scored in self.metrics if scored.curve]

    def _batch_size(self, mode: GeneratorMode) -> int:
        return self.training_batch_size if mode == "train" else EVALUATION_BATCH

    def _prepare(self, choice: MetricChoice, context: BuildContext) -> ScoredMetric:
        metric: Metric | NetworksMetric = choice.build(context)
        versions = {"torch": Version(torch.__version__).public}
        if not isinstance(metric, Metric):
            own = {**plugins_and_options(choice), **metric.stamp, **self.loss_stamp, "data": self.data.fingerprint}
            stamp = {**own, **versions}
            return ScoredMetric(choice, metric, stamp, floor=None, floor_samples=0)
        split = self.data.test if choice.split == "test" else self.data.train
        indices = torch.arange(len(split))
        reference_stamp = {
            **plugins_and_options(choice),
            **metric.stamp,
            "data": self.data.fingerprint,
            "split": choice.split,
            "real_samples": len(indices),
            **versions,
        }
        reference = ReferenceImages(
            batches=lambda: select_images(split, indices, EVALUATION_BATCH, self.device),
            count=len(indices),
            fingerprint=digest(reference_stamp),
        )
        with isolated(FLOOR_SEED, self.device):
            with choice.plugin.blamed("raised in fit"):
                metric.fit(reference)
            floor, floor_samples = self._floor(choice, metric, reference_stamp, context.cache_dir)
        stamp = {
            **reference_stamp,
            "generated_samples": choice.samples,
            "quantisation": "uint8, rounded",
            "weights": "raw",
            "batch_norm": "running statistics"
            if choice.generator_mode == "eval"
            else f"batches of {self.training_batch_size}",
        }
        return ScoredMetric(choice, metric, stamp, floor, floor_samples)

    def _floor(
        self, choice: MetricChoice, metric: Metric, stamp: dict[str, Any], cache_dir: Path
    ) -> tuple[float | None, int]:
        """The score of as many real images of the other split, or of all it has: what a perfect generator gets."""
        other = self.data.train if choice.split == "test" else self.data.test
        order = torch.randperm(len(other), generator=stream(FLOOR_SEED, "floor"))[: choice.samples]
        protocol = {**stamp, "floor_samples": len(order)}
        cached = cache_dir / "floors" / digest(protocol)
        content = read_cache(cached)
        if content is not None:
            return json.loads(content), len(order)
        for batch in select_images(other, order, EVALUATION_BATCH, self.device):
            with choice.plugin.blamed("raised in update"):
                metric.update(batch)
        value = compute(choice, metric)
        write_cache(cached, json.dumps(value).encode())
        return value, len(order)


def plugins_and_options(choice: Choice) -> dict[str, Any]:
    """The metric with who provides it, and its options; an extractor's own options are its stamp's to tell."""
    told: dict[str, Any] = {str(choice.kind): f"{choice.name} ({choice.plugin.provider})"}
    for name, value in choice.options:
        if isinstance(value, Choice):
            told[name] = f"{value.name} ({value.plugin.provider})"
        else:
            told[name] = choice.options.model_dump(mode="json")[name]
    return told


def digest(protocol: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()


def compute(choice: MetricChoice, metric: Metric) -> float | None:
    """The score of what the metric was updated with, None where it is not finite; what it raises names its plugin."""
    with choice.plugin.blamed("raised in compute"):
        value = float(metric.compute())
    return value if math.isfinite(value) else None
