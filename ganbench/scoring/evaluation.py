"""Score generated images, recording everything that a score depends on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import FeatureExtractor, FeatureMetric, Loss, Networks
from ganbench.results.schema import MetricPoint, MetricResult, metric_titles
from ganbench.runtime.ranks import SINGLE, Ranks
from ganbench.spec.configs import GeneratorMode, MetricConfig

from .calls import compute, extract, finite_values, score_features, score_warnings, update_metric
from .features import FeatureFile, FeatureWriter, StoredFeatures, temporary_features
from .prepared_metric import PreparedMetric
from .real_data import RealData
from .sampling import NotFiniteError, Sampler, Source, evaluation_context, preserve_state
from .scored_metric import ScoredMetric

NOT_FINITE = "no score where the generated images contain NaN or infinite values"


@dataclass
class GeneratedBatch:
    """A batch of generated images, as far as metrics need it."""

    labels: Tensor | None
    features: list[Tensor]  # of each extractor
    images: Tensor | None = None

    def to(self, device: torch.device | str) -> GeneratedBatch:
        labels, images = (each if each is None else each.to(device) for each in (self.labels, self.images))
        return GeneratedBatch(labels, [each.to(device) for each in self.features], images)


class Evaluator:
    """Scores the generator with a benchmark's metrics."""

    def __init__(
        self,
        metrics: Collection[PreparedMetric],
        real_data: RealData,
        loss: Loss | None,
        sampler: Sampler,
        *,
        seed: int,
        images_per_epoch: int,
        training_batch_size: int,
        batch_size: int,
        warn: Callable[[str], None] = lambda _: None,
        ranks: Ranks = SINGLE,
    ) -> None:
        """Generate batches of `training_batch_size` images in train mode, else of `batch_size` images.

        `loss` is only needed for network metrics. `warn` is called with each new warning about a score. Ranks
        generate images and extract features together, and the first one computes the scores.
        """
        self.metrics = [ScoredMetric(prepared) for prepared in metrics]
        self.real_data = real_data
        self.loss = loss
        self.sampler = sampler
        self.seed = seed
        self.images_per_epoch = images_per_epoch
        self.training_batch_size = training_batch_size
        self.batch_size = batch_size
        self.warn = warn
        self.ranks = ranks
        values = [value for scored in self.metrics for value in scored.values]
        if repeated := [name for name, count in Counter(value.id for value in values).items() if count > 1]:
            raise UsageError(
                f"metrics: two values have the id '{repeated[0]}' (the metric's id, a dot and the name of the value); "
                "give one of the metrics another id"
            )
        self.titles = metric_titles(values)

    def sources(self) -> list[Source]:
        """Return the weights and modes with which the metrics generate images."""
        return list(dict.fromkeys(scored.source for scored in self.metrics if scored.source is not None))

    def evaluate(
        self, networks: Networks, images_done: int, due: Collection[str] | None = None
    ) -> list[tuple[str, MetricPoint]]:
        """Score the generator with the metrics whose ids are in `due`, or with all; return values with their titles.

        Metrics that were already computed at this number of images are skipped.
        """
        metrics = [
            scored
            for scored in self.metrics
            if (due is None or scored.id in due)
            and (not scored.values[0].curve or scored.values[0].curve[-1].images != images_done)
        ]
        new: list[tuple[str, MetricPoint]] = []
        with evaluation_context(self.seed, self.real_data.device):
            computed = self._score_images(metrics)
            if self.ranks.is_first:
                computed |= {each.id: self._measure(each, networks) for each in metrics if each.id not in computed}
            computed = self.ranks.from_first(computed)
            for scored in metrics:
                values = computed[scored.id]
                for each in scored.values:
                    point = MetricPoint(
                        epoch=images_done / self.images_per_epoch, images=images_done, value=values.get(each.name)
                    )
                    each.curve.append(point)
                    new.append((self.titles[each.id], point))
        return new

    def best(self) -> dict[str, MetricPoint | None]:
        """Return the best score of each value so far, by title."""
        return {self.titles[value.id]: value.best for scored in self.metrics for value in scored.values}

    def _score_images(self, due: list[ScoredMetric]) -> dict[str, dict[str, float | None]]:
        """Generate images once for all metrics that use the same images.

        Return the metrics' values by id, on the first rank.
        """
        groups: dict[tuple[Source, int], list[ScoredMetric]] = {}
        for scored in due:
            if scored.source is not None:
                groups.setdefault((scored.source, scored.config.num_samples), []).append(scored)
        computed: dict[str, dict[str, float | None]] = {}
        for (source, count), sharing in groups.items():
            with temporary_features() as folder, ExitStack() as files:
                # seeded again, so that the images do not depend on what was scored before
                with evaluation_context(self.seed, self.real_data.device, self.ranks.stream("isolated")):
                    problems, features, labels = self._generate(source, count, sharing, folder)
                for file in features.values():
                    files.enter_context(closing(file))
                if not self.ranks.is_first:
                    continue
                finite = NOT_FINITE not in problems
                for scored in sharing:
                    known = scored.prepared.warnings
                    known += [problem for problem in problems if problem not in known]
                    generated = None
                    if isinstance(scored.metric, FeatureMetric):
                        if not finite:
                            computed[scored.id] = {}
                            continue
                        generated = StoredFeatures(features[id(scored.metric.features)], labels)
                    values = self._compute(scored, generated)
                    computed[scored.id] = values if finite else {}
        return computed

    def _generate(
        self, source: Source, count: int, sharing: list[ScoredMetric], folder: Path
    ) -> tuple[list[str], dict[int, FeatureFile], Tensor | None]:
        """Generate images, pass them to the image metrics, and extract features once for each extractor.

        Return what is wrong with the images and, on the first rank, the features by `id(extractor)` and the labels.
        """
        extractors: dict[int, tuple[FeatureExtractor, MetricConfig]] = {
            id(scored.metric.features): (scored.metric.features, scored.config)
            for scored in sharing
            if isinstance(scored.metric, FeatureMetric)
        }
        image_metrics = [scored for scored in sharing if not isinstance(scored.metric, FeatureMetric)]
        all_labels: list[Tensor] = []

        def with_features(images: Tensor, labels: Tensor | None) -> GeneratedBatch:
            features = [extract(config, extractor, images) for extractor, config in extractors.values()]
            return GeneratedBatch(labels, features, images if image_metrics else None)

        size = self._batch_size(source.mode)
        finite, problems = True, list[str]()
        batches = self.sampler.scored_images(source, count, size, self.seed, ranks=self.ranks, problems=problems)
        with ExitStack() as files:
            files.enter_context(closing(batches))  # at once if a metric raises, whoever keeps the error
            writers = {
                key: files.enter_context(FeatureWriter(folder / str(number), self.real_data.device))
                for number, key in enumerate(extractors)
            }
            own = (with_features(images, labels) for images, labels in batches)
            for _ in range(math.ceil(count / size / self.ranks.size) + 1):  # the last one only ends the iteration
                try:
                    batch = next(own, None)
                except NotFiniteError as error:
                    self.sampler.warn_once("not finite", str(error))
                    batch, finite = None, False
                for each in self._gather(batch):
                    if each.labels is not None:
                        all_labels.append(each.labels.cpu())
                    for features, writer in zip(each.features, writers.values(), strict=True):
                        writer.append(features)
                    for scored in image_metrics:
                        assert each.images is not None
                        update_metric(scored.config, scored.metric, each.images, each.labels)
        if self.ranks.any(not finite):
            problems = [NOT_FINITE]
        if not self.ranks.is_first:
            return problems, {}, None
        stored = {key: writer.result() for key, writer in writers.items()}
        return problems, stored, torch.cat(all_labels) if all_labels else None

    def _gather(self, batch: GeneratedBatch | None) -> list[GeneratedBatch]:
        """Return the batches of all ranks on the first one, in the order in which a single rank generates them."""
        if self.ranks.alone:
            return [] if batch is None else [batch]
        gathered = self.ranks.gather(None if batch is None else batch.to("cpu"))
        return [each.to(self.real_data.device) for each in gathered if each is not None]

    def _compute(self, scored: ScoredMetric, generated: StoredFeatures | None) -> dict[str, float | None]:
        """Compute the values of a metric that has received all images.

        This is also called if the values will be discarded, because `compute` resets the metric.
        """
        metric, prepared = scored.metric, scored.prepared
        with self._seeded(), self._report_warnings(metric.label, prepared.warnings):
            if isinstance(metric, FeatureMetric):
                assert generated is not None
                return score_features(scored.config, metric, prepared.real_features, generated)
            return compute(scored.config, metric)

    def _measure(self, scored: ScoredMetric, networks: Networks) -> dict[str, float | None]:
        """Compute the values of a metric of the networks themselves."""
        metric: Any = scored.metric
        assert self.loss is not None
        networks = replace(networks, generator=self.sampler.generator_with(scored.config.weights))
        errors = scored.config.plugin.wrap_errors("raised in measure")
        warnings = self._report_warnings(metric.label, scored.prepared.warnings)
        restored = preserve_state(networks, self.loss, self.real_data.device, self.sampler.plugin_names.loss)
        with self._seeded(), warnings, errors, restored:
            return finite_values(scored.config, metric, metric.measure(networks, self.loss))

    def _seeded(self) -> AbstractContextManager[None]:
        """Seed again, so that what a metric draws in its computation does not depend on other metrics."""
        return evaluation_context(self.seed, self.real_data.device)

    def curves(self) -> dict[str, list[MetricPoint]]:
        """Return the values so far, by id."""
        return {value.id: list(value.curve) for scored in self.metrics for value in scored.values}

    def warnings(self) -> dict[str, list[str]]:
        """Return the warnings about scores so far, by the metric's id."""
        return {scored.id: list(scored.prepared.warnings) for scored in self.metrics}

    def protocols(self) -> dict[str, dict[str, Any]]:
        """Return the protocols of the scores, by the metric's id."""
        return {scored.id: scored.prepared.protocol for scored in self.metrics}

    def software(self) -> dict[str, dict[str, str]]:
        """Return the software of the scores, by the metric's id."""
        return {scored.id: scored.prepared.software for scored in self.metrics}

    def resume_from(self, curves: dict[str, list[MetricPoint]], warnings: dict[str, list[str]]) -> None:
        """Restore the curves and the warnings of an earlier process."""
        for scored in self.metrics:
            known = scored.prepared.warnings
            known += [message for message in warnings.get(scored.id, []) if message not in known]
            for value in scored.values:
                value.curve = list(curves.get(value.id, []))

    def results(self, images_done: int) -> list[MetricResult]:
        return [result for scored in self.metrics for result in scored.results(images_done)]

    def _batch_size(self, mode: GeneratorMode) -> int:
        return self.training_batch_size if mode == "train" else self.batch_size

    @contextmanager
    def _report_warnings(self, label: str, known: list[str]) -> Iterator[None]:
        with score_warnings(known) as new:
            yield
        for message in new:
            self.warn(f"{label}: {message}")
