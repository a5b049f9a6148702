"""What `ganbench` exports; `__init__.py` imports each when it is first asked for."""

from .errors import (
    DataError,
    GanbenchError,
    MissingError,
    PluginError,
    ScoreWarning,
    UsageError,
)
from .plugin.callbacks import Callback
from .plugin.hookspecs import hookimpl
from .plugin.interfaces import (
    Batch,
    FeatureExtractor,
    ImageData,
    Loss,
    Metric,
    Networks,
    NetworksMetric,
    OptimizerFactory,
    ReferenceImages,
)
from .plugin.registrations import (
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
    PublishedCurve,
)
from .plugin.registry import Registry
from .results.schema import Result, load_result
from .spec.benchmark import (
    BenchmarkSpec,
    FeatureExtractorConfig,
    LossConfig,
    OptimizerConfig,
    load_spec,
)
from .system.files import atomic_write, read_cache, write_cache
from .training.runner import run
from .version import __version__

__all__ = [
    "Batch",
    "Benchmark",
    "BenchmarkSpec",
    "BuildContext",
    "Callback",
    "DataError",
    "DatasetContext",
    "DatasetPlugin",
    "FeatureExtractor",
    "FeatureExtractorConfig",
    "FeatureExtractorPlugin",
    "GanbenchError",
    "ImageData",
    "Loss",
    "LossConfig",
    "LossPlugin",
    "Metric",
    "MetricPlugin",
    "MissingError",
    "ModelPlugin",
    "Networks",
    "NetworksMetric",
    "OptimizerConfig",
    "OptimizerFactory",
    "OptimizerPlugin",
    "Options",
    "PluginError",
    "PublishedCurve",
    "ReferenceImages",
    "Registry",
    "Result",
    "ScoreWarning",
    "UsageError",
    "__version__",
    "atomic_write",
    "hookimpl",
    "load_result",
    "load_spec",
    "read_cache",
    "run",
    "write_cache",
]
