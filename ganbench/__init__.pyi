"""What `ganbench` exports; `__init__.py` imports each when it is first asked for."""

from .errors import (
    DataError,
    GanbenchError,
    MissingError,
    PluginError,
    ScoreWarning,
    UsageError,
)
from .plugin.callbacks import Observer
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
    Reference,
)
from .plugin.registry import Registry
from .results.result import Result, load_result
from .spec.benchmark import (
    BenchmarkSpec,
    FeatureExtractorChoice,
    LossChoice,
    OptimizerChoice,
    load_spec,
)
from .system.files import read_cache, write_cache, written_whole
from .training.runner import run
from .version import __version__

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
    "LossChoice",
    "LossPlugin",
    "Metric",
    "MetricPlugin",
    "MissingError",
    "ModelPlugin",
    "Networks",
    "NetworksMetric",
    "Observer",
    "OptimizerChoice",
    "OptimizerFactory",
    "OptimizerPlugin",
    "Options",
    "PluginError",
    "Reference",
    "ReferenceImages",
    "Registry",
    "Result",
    "ScoreWarning",
    "UsageError",
    "__version__",
    "hookimpl",
    "load_result",
    "load_spec",
    "read_cache",
    "run",
    "write_cache",
    "written_whole",
]
