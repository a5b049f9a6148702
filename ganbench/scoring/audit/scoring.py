"""Scores images in memory with several metrics, which share one pass of each extractor over the images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from torch import Tensor

from ganbench.plugin.interfaces import FeatureMetric
from ganbench.scoring.calls import compute, extract, score_features, score_warnings, update_metric
from ganbench.scoring.features import FeatureFile, FeatureWriter, StoredFeatures, temporary_features
from ganbench.scoring.prepared_metric import PreparedMetric
from ganbench.scoring.real_data import RealData
from ganbench.scoring.sampling import evaluation_context

NamedValues = dict[str, float | None]  # by name of the metric's value; None if it is not finite


def score_together(metrics: Sequence[PreparedMetric], real_data: RealData, images: Tensor) -> list[NamedValues]:
    """Return the values of each metric for images on the CPU, without caching anything."""
    batches = [batch.to(real_data.device) for batch in images.split(real_data.batch_size)]
    files: dict[int, FeatureFile] = {}  # by id(extractor)
    values = []
    with (
        evaluation_context(0, real_data.device),
        temporary_features() as folder,
        ExitStack() as opened,
    ):
        for prepared in metrics:
            metric = prepared.metric
            if isinstance(metric, FeatureMetric) and id(metric.features) not in files:
                path = folder / str(len(files))
                written = features_of(prepared, metric, batches, path, real_data)
                files[id(metric.features)] = opened.enter_context(closing(written))
            with score_warnings(prepared.warnings):
                values.append(score(prepared, batches, files))
    return values


def features_of(
    prepared: PreparedMetric, metric: FeatureMetric, batches: Sequence[Tensor], path: Path, real_data: RealData
) -> FeatureFile:
    with FeatureWriter(path, real_data.device) as writer:
        for batch in batches:
            writer.append(extract(prepared.config, metric.features, batch))
    return writer.result()


def score(prepared: PreparedMetric, batches: Sequence[Tensor], files: dict[int, FeatureFile]) -> NamedValues:
    metric, config = prepared.metric, prepared.config
    if isinstance(metric, FeatureMetric):
        generated = StoredFeatures(files[id(metric.features)], None)
        return score_features(config, metric, prepared.real_features, generated)
    for batch in batches:
        update_metric(config, metric, batch, None)
    return compute(config, metric)
