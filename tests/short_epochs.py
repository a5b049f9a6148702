"""A plugin: FashionMNIST with fewer images to train on, so that real networks train for several epochs in a second."""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import TensorDataset

from ganbench import DatasetContext, DatasetPlugin, ImageData, Options, Registry, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset

TRAIN_IMAGES = 500
FILE = __file__  # for -p

# DCGAN with narrow networks and a score
SMALL_FASHION = ["dataset=small-fashion", "model.width=2", "metrics.0.num_samples=100"]


def build(options: Options, context: DatasetContext) -> ImageData:
    data = embedded_subset()
    train = TensorDataset(*(tensor[:TRAIN_IMAGES] for tensor in data.train.tensors))
    return ImageData(train, data.test, data.num_classes, "small-fashion", "5f" * 32)


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [DatasetPlugin(name="small-fashion", summary="Few images", build=build)]


def with_small_fashion(*files: Path) -> Registry:
    """Return the default plugins, this one, and those of the files."""
    return Registry.load([FILE, *map(str, files)])
