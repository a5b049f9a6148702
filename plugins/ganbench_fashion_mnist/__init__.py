"""FashionMNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747) and a feature extractor trained on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import (
    BuildContext,
    DatasetContext,
    DatasetPlugin,
    FeatureExtractor,
    FeatureExtractorPlugin,
    ImageData,
    Options,
    hookimpl,
)


class FashionMNISTOptions(Options):
    source: Literal["auto", "files", "download", "embedded"] = Field(
        "auto",
        description="where the images come from: files on this machine, torchvision's download, the embedded subset "
        "of 5,000 + 1,000 images, or (auto) the first of these that works",
    )


def build_fashion_mnist(options: FashionMNISTOptions, context: DatasetContext) -> ImageData:
    from .sources import load

    return load(options.source, context.data_dir)


def build_fashion_cnn(options: Options, context: BuildContext) -> FeatureExtractor:
    from .fashion_cnn import load_extractor

    return load_extractor(context.image_shape, context.device)


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [
        DatasetPlugin(
            name="fashion-mnist",
            summary="FashionMNIST: 60,000 + 10,000 grey 28x28 images of garments, 10 classes",
            options=FashionMNISTOptions,
            build=build_fashion_mnist,
        )
    ]


@hookimpl
def ganbench_feature_extractors() -> list[FeatureExtractorPlugin]:
    return [
        FeatureExtractorPlugin(
            name="fashion-cnn",
            summary="128 features of a small FashionMNIST classifier, shipped with its weights",
            build=build_fashion_cnn,
        )
    ]
