"""Feature extractors for metrics that compare features."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ganbench import BuildContext, FeatureExtractor, FeatureExtractorPlugin, Options, hookimpl


class InceptionOptions(Options):
    weights: Path | None = Field(
        None, description="torch-fidelity's weights file; default: the torch hub cache, or a download"
    )


class RawOptions(Options):
    size: int | None = Field(None, ge=1, description="width and height to downscale images to; default: no resizing")


def build_fashion_cnn(options: Options, context: BuildContext) -> FeatureExtractor:
    from .fashion_cnn import load_extractor

    return load_extractor(context.image_shape, context.device)


def build_inception(options: InceptionOptions, context: BuildContext) -> FeatureExtractor:
    from .inception_v3 import load_extractor

    return load_extractor(options.weights, context.device)


def build_raw(options: RawOptions, context: BuildContext) -> FeatureExtractor:
    from .raw import RawPixels

    return RawPixels(context.image_shape, options.size)


@hookimpl
def ganbench_feature_extractors() -> list[FeatureExtractorPlugin]:
    return [
        FeatureExtractorPlugin(
            name="fashion-cnn",
            summary="128 features of a small FashionMNIST classifier; the weights are included",
            build=build_fashion_cnn,
        ),
        FeatureExtractorPlugin(
            name="inception-v3",
            summary="2,048 features of the Inception network of the original FID, ported by torch-fidelity",
            options=InceptionOptions,
            build=build_inception,
        ),
        FeatureExtractorPlugin(
            name="raw",
            summary="The pixels themselves, optionally downscaled; no weights, for images of any shape",
            options=RawOptions,
            build=build_raw,
        ),
    ]
