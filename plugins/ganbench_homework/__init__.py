"""The benchmark from the deep-learning homework behind ganbench."""

from __future__ import annotations

from pathlib import Path

from ganbench import Benchmark, PublishedCurve, hookimpl

FOLDER = Path(__file__).parent

# the fingerprint of the full FashionMNIST, as reported by the dataset plugin
FASHION_MNIST = "d1fd84a877f3b78fa9a171b3de73f93e7b6f69ed94bada3feae9d96821401f5c"


@hookimpl
def ganbench_benchmarks() -> list[Benchmark]:
    published = PublishedCurve(
        label="published", history=FOLDER / "dcgan_fashion_published.csv", data_fingerprint=FASHION_MNIST
    )
    return [Benchmark.from_toml(FOLDER / "dcgan_fashion.toml", published_curve=published)]
