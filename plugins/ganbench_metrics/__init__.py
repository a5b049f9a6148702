"""FID, and the Inception features that it was defined with."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ganbench import (
    BuildContext,
    FeatureExtractor,
    FeatureExtractorChoice,
    FeatureExtractorPlugin,
    Metric,
    MetricPlugin,
    Options,
    hookimpl,
)


class FIDOptions(Options):
    features: FeatureExtractorChoice = Field(description="the feature extractor, by name")


class InceptionOptions(Options):
    weights: Path | None = Field(
        None, description="torch-fidelity's weights file; by default torch hub's cache, else its download"
    )


def build_fid(options: FIDOptions, context: BuildContext) -> Metric:
    from .fid import FID

    return FID(options.features.build(context), context.device, context.cache_dir)


def build_inception(options: InceptionOptions, context: BuildContext) -> FeatureExtractor:
    from .inception_v3 import load_extractor

    return load_extractor(options.weights, context.device)


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


@hookimpl
def ganbench_feature_extractors() -> list[FeatureExtractorPlugin]:
    return [
        FeatureExtractorPlugin(
            name="inception-v3",
            summary="2,048 features of the Inception network that FID was defined with, by torch-fidelity",
            options=InceptionOptions,
            build=build_inception,
        )
    ]
