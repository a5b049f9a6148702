"""Scoring what the generator makes, with everything that a score depends on."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version

from ganbench.data.batches import select_images
from ganbench.errors import ScoreWarning
from ganbench.plugin.interfaces import (
    ImageData,
    Loss,
    Metric,
    Networks,
    NetworksMetric,
    ReferenceImages,
)
from ganbench.plugin.registrations import BuildContext
from ganbench.results.environment import ganbench_version
from ganbench.results.schema import DataRecord, MetricPoint, MetricResult, metric_titles
from ganbench.runtime.seeds import stream
from ganbench.spec.benchmark import GeneratorMode, LossConfig, MetricConfig
from ganbench.system.files import read_cache, write_cache

from .identity import DIGITS, config_identity, software_of
from .sampling import (
    NotFiniteError,
    Sampler,
    isolated,
    kept,
)

EVALUATION_BATCH = 250
REAL_DATA_SEED = 0  # the same real images in every run, so that their score can be kept


@dataclass
class ScoredMetric:
    """A metric of the benchmark with its protocol, the score of real data and the values so far."""

    choice: MetricConfig
    metric: Metric | NetworksMetric
    protocol: dict[str, Any]
    software: dict[str, str]
    real_data_score: float | None
    real_data_samples: int
    warnings: list[str]
    curve: list[MetricPoint] = field(default_factory=list)

    @property
    def id(self) -> str:
        assert self.choice.id is not None  # the spec has given it one
        return self.choice.id

    @property
    def label(self) -> str:
        return self.metric.label

    def result(self, images_done: int) -> MetricResult:
        """What the run tells of the metric, `images_done` being where its training ended."""
        finite = [(point.value, point) for point in self.curve if point.value is not None]
        pick = min if self.metric.better == "lower" else max
        return MetricResult(
            id=self.id,
            name=self.choice.name,
            label=self.metric.label,
            value=self.curve[-1].value if self.curve[-1].images == images_done else None,
            better=self.metric.better,
            best=pick(finite, key=lambda pair: pair[0])[1] if finite else None,
            curve=self.curve,
            real_data_score=self.real_data_score,
            real_data_samples=self.real_data_samples,
            protocol=self.protocol,
            software=self.software,
            warnings=self.warnings,
        )


class Evaluator:
    """Builds a benchmark's metrics and scores the generator with them."""

    def __init__(
        self,
        choices: list[MetricConfig],
        data: ImageData,
        data_record: DataRecord,
        loss: Loss,
        loss_choice: LossConfig,
        context: BuildContext,
        training_batch_size: int,
        sampler: Sampler,
        images_per_epoch: int,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`warn` is called with each warning about a score, once."""
        self.data = data
        self.data_record = data_record
        self.loss = loss
        self.loss_choice = loss_choice
        self.warn = warn
        self.device = torch.device(context.device)
        self.seed = context.seed
        self.training_batch_size = training_batch_size
        self.sampler = sampler
        self.images_per_epoch = images_per_epoch
        self.metrics = [self._prepare(choice, context) for choice in choices]
        self.titles = metric_titles(self.metrics)

    def is_due(self, epoch: int) -> bool:
        return any(epoch in scored.choice.at_epochs for scored in self.metrics)

    def evaluate(self, networks: Networks, images_done: int, epoch: int | None) -> list[tuple[str, MetricPoint]]:
        """Score the generator with the metrics that are due after `epoch`; None is the end, when all are.

        Returns the values with the metrics' titles.
        """
        due = [scored for scored in self.metrics if epoch is None or epoch in scored.choice.at_epochs]
        due = [scored for scored in due if not scored.curve or scored.curve[-1].images != images_done]
        with isolated(self.seed, self.device):
            not_finite = self._show_images([scored for scored in due if isinstance(scored.metric, Metric)])
            for scored in due:
                value = self._value(scored, networks)  # also of what counts for nothing, so that it is forgotten
                value = None if scored in not_finite else value
                scored.curve.append(
                    MetricPoint(epoch=images_done / self.images_per_epoch, images=images_done, value=value)
                )
        return [(self.titles[scored.id], scored.curve[-1]) for scored in due]

    def _show_images(self, due: list[ScoredMetric]) -> list[ScoredMetric]:
        """Let metrics take in generated images, which those share that want the same.

        Returns the metrics that were given images with NaN or infinite numbers in them.
        """
        not_finite: list[ScoredMetric] = []
        for mode, count in dict.fromkeys((scored.choice.generator_mode, scored.choice.num_samples) for scored in due):
            sharing = [s for s in due if (s.choice.generator_mode, s.choice.num_samples) == (mode, count)]
            latents = stream(self.seed, "evaluation")
            try:
                for batch in self.sampler.generate(mode, count, self._batch_size(mode), latents):
                    for scored in sharing:
                        assert isinstance(scored.metric, Metric)
                        with scored.choice.plugin.wrap_errors("raised in update"):
                            scored.metric.update(batch)
            except NotFiniteError as error:
                self.sampler.warn_once("not finite", str(error))
                not_finite += sharing
        return not_finite

    def _value(self, scored: ScoredMetric, networks: Networks) -> float | None:
        """The score of what the metric has taken in, or of the networks; None where it is not finite."""
        if isinstance(scored.metric, Metric):
            with self._warnings_kept(scored.metric.label, scored.warnings):
                return compute(scored.choice, scored.metric)
        with scored.choice.plugin.wrap_errors("raised in measure"), kept(networks, self.loss):
            value = float(scored.metric.measure(networks, self.loss))
        return value if math.isfinite(value) else None

    def curves(self) -> dict[str, list[MetricPoint]]:
        """The values so far, by the metrics' ids."""
        return {scored.id: list(scored.curve) for scored in self.metrics}

    def resume_from(self, curves: dict[str, list[MetricPoint]]) -> None:
        """Take values that were computed before for one's own."""
        for scored in self.metrics:
            scored.curve = list(curves.get(scored.id, []))

    def results(self, images_done: int) -> list[MetricResult]:
        return [scored.result(images_done) for scored in self.metrics if scored.curve]

    def _batch_size(self, mode: GeneratorMode) -> int:
        return self.training_batch_size if mode == "train" else EVALUATION_BATCH

    @contextmanager
    def _warnings_kept(self, label: str, kept: list[str]) -> Iterator[None]:
        """Store and report each `ScoreWarning` of the block that is new; other warnings go their usual way."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ScoreWarning)
            yield
        for warning in caught:
            message = str(warning.message)
            if not issubclass(warning.category, ScoreWarning):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            elif message not in kept:
                kept.append(message)
                self.warn(f"{label}: {message}")

    def _prepare(self, choice: MetricConfig, context: BuildContext) -> ScoredMetric:
        metric: Metric | NetworksMetric = choice.build(context)
        protocol = {
            **config_identity(choice, "metric"),
            **metric.protocol,
            "data": self.data_record.content_sha256[:DIGITS],
        }
        software = {
            "torch": Version(torch.__version__).public,
            "ganbench": ganbench_version(),
            **software_of(choice),
            **getattr(metric, "software", {}),
        }
        if self.data_record.content_basis != "all images":
            protocol["data_basis"] = self.data_record.content_basis
        if not isinstance(metric, Metric):
            protocol |= {**config_identity(self.loss_choice, "loss"), **getattr(self.loss, "protocol", {})}
            software |= software_of(self.loss_choice)
            return ScoredMetric(
                choice, metric, protocol, software, real_data_score=None, real_data_samples=0, warnings=[]
            )
        split = self.data.test if choice.split == "test" else self.data.train
        indices = torch.arange(len(split))
        protocol |= {"split": choice.split, "real_samples": len(indices)}
        reference = ReferenceImages(
            batches=lambda: select_images(split, indices, EVALUATION_BATCH, self.device),
            count=len(indices),
            fingerprint=digest({**protocol, **software}),
        )
        kept: list[str] = []
        with isolated(REAL_DATA_SEED, self.device), self._warnings_kept(metric.label, kept):
            with choice.plugin.wrap_errors("raised in fit"):
                metric.fit(reference)
            real_data_score, real_data_samples = self._score_real_data(
                choice, metric, {**protocol, **software}, context.cache_dir
            )
        protocol |= {
            "generated_samples": choice.num_samples,
            "quantization": "uint8, rounded",
            "weights": "raw",
            "batch_norm": "running statistics"
            if choice.generator_mode == "eval"
            else f"batches of {self.training_batch_size}",
        }
        return ScoredMetric(choice, metric, protocol, software, real_data_score, real_data_samples, kept)

    def _score_real_data(
        self, choice: MetricConfig, metric: Metric, identity: dict[str, Any], cache_dir: Path
    ) -> tuple[float | None, int]:
        """The score of as many real images of the other split, or of all it has: what a perfect generator gets."""
        other = self.data.train if choice.split == "test" else self.data.test
        order = torch.randperm(len(other), generator=stream(REAL_DATA_SEED, "floor"))[: choice.num_samples]
        cached = cache_dir / "real-data-scores" / digest({**identity, "real_data_samples": len(order)})
        content = read_cache(cached)
        if content is not None:
            return json.loads(content), len(order)
        for batch in select_images(other, order, EVALUATION_BATCH, self.device):
            with choice.plugin.wrap_errors("raised in update"):
                metric.update(batch)
        value = compute(choice, metric)
        write_cache(cached, json.dumps(value).encode())
        return value, len(order)


def digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def compute(choice: MetricConfig, metric: Metric) -> float | None:
    """The score of what the metric was updated with, None where it is not finite; what it raises names its plugin."""
    with choice.plugin.wrap_errors("raised in compute"):
        value = float(metric.compute())
    return value if math.isfinite(value) else None
