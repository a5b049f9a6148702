"""Benchmarks that break a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganbench import Benchmark, LossPlugin, PublishedCurve, Registry
from ganbench.plugin.registry import Registered

from .any_kind import Halved
from .broken import Broken
from .loss import Wasserstein

SPEC: dict[str, Any] = {
    "name": "mine",
    "summary": "A narrow DCGAN",
    "model": {"name": "dcgan", "width": 8},
    "loss": "bce",
    "dataset": {"name": "fashion-mnist", "source": "embedded"},
    "optimizer": {"generator": "adam", "discriminator": "adam"},
    "training": {"steps": 3},
}
HALVED = LossPlugin(name="halved", summary="A loss", options=Halved, build=lambda *_: Wasserstein())


def with_halved(_: Any) -> Registry:
    registry = Registry.load()
    registry.add(Registered(HALVED, registry.providers[0]))
    return registry


def benchmark(changes: dict[str, Any] | None = None, **fields: Any) -> Benchmark:
    return Benchmark(**{"name": "mine", "summary": SPEC["summary"], "spec": SPEC | (changes or {}), **fields})


def curve(file: str) -> PublishedCurve:
    return PublishedCurve(label="published", history=Path(__file__).parent / file, data_fingerprint="0" * 64)


SOUND = benchmark(trackers=("trajectory",), published_curve=curve("curve.csv"))
BROKEN = {
    "the spec is valid": Broken(benchmark({"loss": "bse"}), "expected a valid spec, got: benchmark mine: loss: "),
    "the spec has the name and the summary of the benchmark": Broken(
        benchmark(summary="A wide DCGAN"), "got {'name': 'mine', 'summary': 'A narrow DCGAN'}"
    ),
    "the spec can be stored and loaded": Broken(
        benchmark({"loss": "halved"}), "got others: loss", {"registry": with_halved}
    ),
    "its trackers are installed": Broken(benchmark(trackers=("trajectoire",)), "did you mean 'trajectory'?"),
    "the published curve can be plotted": Broken(
        benchmark(published_curve=curve("curve_without_epochs.csv")), "expected a column 'epoch'"
    ),
    "its plugins fit together": Broken(benchmark({"loss": "bilinear"}), "got: this loss is a game of two scalars"),
}
