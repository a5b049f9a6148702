"""Datasets, one module each."""

from __future__ import annotations

from ganbench import DatasetPlugin, hookimpl

from . import fashion_mnist


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [fashion_mnist.PLUGIN]
