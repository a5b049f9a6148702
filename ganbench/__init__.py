"""ganbench: benchmark GANs with numbers you can trust.

What plugin authors and scripts use is here; importing it does not import torch.
"""

from __future__ import annotations

from .errors import DataError, GanbenchError, MissingError, PluginError, UsageError
from .files import written_whole
from .hookspecs import hookimpl
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
from .spec import FeatureExtractorChoice

__all__ = [
    "Batch",
    "Benchmark",
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
    "OptimizerFactory",
    "OptimizerPlugin",
    "Options",
    "PluginError",
    "Reference",
    "ReferenceImages",
    "UsageError",
    "hookimpl",
    "written_whole",
]
