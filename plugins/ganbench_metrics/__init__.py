"""Metrics of generated images."""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, FeatureExtractorConfig, FeatureMetric, Metric, MetricPlugin, Options, hookimpl


class FeatureOptions(Options):
    features: FeatureExtractorConfig = Field(
        description="the feature extractor, one of `ganbench list feature-extractors`"
    )


class KIDOptions(FeatureOptions):
    subsets: int = Field(100, ge=1, description="number of random subsets of the images")
    subset_size: int = Field(1000, ge=2, description="images in each subset, real and generated")


class PrecisionRecallOptions(FeatureOptions):
    neighbors: int = Field(3, ge=1, description="k: the radius around an image is the distance to its k-th neighbor")


class DensityCoverageOptions(FeatureOptions):
    neighbors: int = Field(5, ge=1, description="k: the radius around an image is the distance to its k-th neighbor")


class InceptionScoreOptions(FeatureOptions):
    splits: int = Field(10, ge=1, description="number of splits of the generated images; each gets a score")


def build_fid(options: FeatureOptions, context: BuildContext) -> FeatureMetric:
    from .fid import FID

    return FID(options.features.build(context), context.device)


def build_kid(options: KIDOptions, context: BuildContext) -> FeatureMetric:
    from .kid import KID

    return KID(options.features.build(context), options.subsets, options.subset_size)


def build_precision_recall(options: PrecisionRecallOptions, context: BuildContext) -> FeatureMetric:
    from .precision_recall import PrecisionRecall

    return PrecisionRecall(options.features.build(context), options.neighbors, context.device)


def build_density_coverage(options: DensityCoverageOptions, context: BuildContext) -> FeatureMetric:
    from .density_coverage import DensityCoverage

    return DensityCoverage(options.features.build(context), options.neighbors, context.device)


def build_inception_score(options: InceptionScoreOptions, context: BuildContext) -> FeatureMetric:
    from .inception_score import InceptionScore

    return InceptionScore(options.features.build(context), options.splits)


def build_modes(options: Options, context: BuildContext) -> Metric:
    from .modes import Modes

    return Modes(context.data_shape)


@hookimpl
def ganbench_metrics() -> list[MetricPlugin]:
    return [
        MetricPlugin(
            name="fid",
            summary="Fréchet inception distance (Heusel et al. 2017), with selectable features",
            options=FeatureOptions,
            build=build_fid,
        ),
        MetricPlugin(
            name="kid",
            summary="Kernel inception distance (Bińkowski et al. 2018): mean and std over random subsets",
            options=KIDOptions,
            build=build_kid,
        ),
        MetricPlugin(
            name="precision-recall",
            summary="Improved precision and recall (Kynkäänniemi et al. 2019): fidelity and diversity",
            options=PrecisionRecallOptions,
            build=build_precision_recall,
        ),
        MetricPlugin(
            name="density-coverage",
            summary="Density and coverage (Naeem et al. 2020): fidelity and diversity, robust to outliers",
            options=DensityCoverageOptions,
            build=build_density_coverage,
        ),
        MetricPlugin(
            name="inception-score",
            summary="Inception score (Salimans et al. 2016) with the class probabilities of an extractor",
            options=InceptionScoreOptions,
            build=build_inception_score,
        ),
        MetricPlugin(
            name="modes",
            summary="Modes covered and fraction of high-quality samples, for 2-D data (Srivastava et al. 2017, VEEGAN)",
            build=build_modes,
        ),
    ]
