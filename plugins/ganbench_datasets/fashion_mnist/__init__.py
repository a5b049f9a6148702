"""FashionMNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import DatasetContext, DatasetPlugin, ImageData, Options


class FashionMNISTOptions(Options):
    source: Literal["auto", "files", "download", "embedded"] = Field(
        "auto",
        description="source of the images: local files, torchvision's download, the embedded subset of 5,000 + 1,000 "
        "images, or (auto) the first of these that is available",
    )


def build(options: FashionMNISTOptions, context: DatasetContext) -> ImageData:
    from .sources import load

    return load(options.source, context.data_dir)


PLUGIN = DatasetPlugin(
    name="fashion-mnist",
    summary="FashionMNIST: 60,000 + 10,000 grayscale 28x28 images of clothing, 10 classes",
    options=FashionMNISTOptions,
    build=build,
)
