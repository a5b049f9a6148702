"""Datasets, one module each."""

from __future__ import annotations

from ganbench import DatasetPlugin, hookimpl

from . import (
    cifar10,
    digits,
    emoji,
    fashion_mnist,
    gaussian_grid,
    gaussian_ring,
    image_folder,
    kmnist,
    mnist,
    stl10,
)


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [
        fashion_mnist.PLUGIN,
        mnist.PLUGIN,
        kmnist.PLUGIN,
        cifar10.PLUGIN,
        stl10.PLUGIN,
        digits.PLUGIN,
        emoji.PLUGIN,
        image_folder.PLUGIN,
        gaussian_ring.PLUGIN,
        gaussian_grid.PLUGIN,
    ]
