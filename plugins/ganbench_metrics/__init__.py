"""Metrics of generated images."""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, FeatureExtractorConfig, FeatureMetric, MetricPlugin, Options, hookimpl


class FIDOptions(Options):
    features: FeatureExtractorConfig = Field(description="the feature extractor, by name")


def build_fid(options: FIDOptions, context: BuildContext) -> FeatureMetric:
    from .fid import FID

    return FID(options.features.build(context), context.device)


@hookimpl
def ganbench_metrics() -> list[MetricPlugin]:
    return [
        MetricPlugin(
            name="fid",
            summary="Fréchet inception distance (Heusel et al. 2017), with selectable features",
            options=FIDOptions,
            build=build_fid,
        )
    ]
