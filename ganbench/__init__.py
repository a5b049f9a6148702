"""ganbench: benchmark GANs with numbers you can trust.

What plugin authors and scripts use is here; importing it does not import torch. A script runs a benchmark with

    spec, reference = ganbench.load_spec("dcgan-fashion", ganbench.Registry.load(), ["training.epochs=1"])
    result, directory = ganbench.run(spec, reference=reference)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DataError, GanbenchError, MissingError, PluginError, UsageError
from .files import write_cache, written_whole
from .hookspecs import hookimpl
from .observer import Observer
from .plugin import (
    Benchmark,
    BuildContext,
    DatasetContext,
    DatasetPlugin,
    FeatureExtractorPlugin,
    LossPlugin,
    MetricPlugin,
    ModelPlugin,
    OptimizerPlugin,
    Options,
    Reference,
)
from .protocols import (
    Batch,
    FeatureExtractor,
    ImageData,
    Loss,
    Metric,
    Networks,
    OptimizerFactory,
    ReferenceImages,
)
from .registry import Registry
from .result import Result, load_result
from .spec import BenchmarkSpec, FeatureExtractorChoice, load_spec

if TYPE_CHECKING:
    from .training.runner import run

__all__ = [
    "Batch",
    "Benchmark",
    "BenchmarkSpec",
    "BuildContext",
    "DataError",
    "DatasetContext",
    "DatasetPlugin",
    "FeatureExtractor",
    "FeatureExtractorChoice",
    "FeatureExtractorPlugin",
    "GanbenchError",
    "ImageData",
    "Loss",
    "LossPlugin",
    "Metric",
    "MetricPlugin",
    "MissingError",
    "ModelPlugin",
    "Networks",
    "Observer",
    "OptimizerFactory",
    "OptimizerPlugin",
    "Options",
    "PluginError",
    "Reference",
    "ReferenceImages",
    "Registry",
    "Result",
    "UsageError",
    "hookimpl",
    "load_result",
    "load_spec",
    "run",
    "write_cache",
    "written_whole",
]


def __getattr__(name: str) -> Any:
    """`run` brings torch with it, so it is imported when it is first asked for."""
    if name == "run":
        from .training.runner import run

        return run
    raise AttributeError(f"module 'ganbench' has no attribute '{name}'")
