"""Scores of generated images."""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, FeatureExtractorConfig, Metric, MetricPlugin, Options, hookimpl


class FIDOptions(Options):
    features: FeatureExtractorConfig = Field(description="the feature extractor, by name")


def build_fid(options: FIDOptions, context: BuildContext) -> Metric:
    from .fid import FID

    return FID(options.features.build(context), context.device, context.cache_dir)


@hookimpl
def ganbench_metrics() -> list[MetricPlugin]:
    return [
        MetricPlugin(
            name="fid",
            summary="Fréchet inception distance (Heusel et al. 2017), with the features of your choice",
            options=FIDOptions,
            build=build_fid,
        )
    ]
