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
    Augmentation,
    Batch,
    FeatureExtractor,
    ImageData,
    Loss,
    Metric,
    Networks,
    NetworksMetric,
    OptimizerFactory,
    Penalty,
    Players,
    ReferenceImages,
    Schedule,
)
from .plugin.registrations import (
    AugmentationPlugin,
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
    PenaltyPlugin,
    PublishedCurve,
    SchedulePlugin,
    TrackerContext,
    TrackerPlugin,
)
from .plugin.registry import Registry
from .results.result import Result, load_result
from .spec.benchmark import BenchmarkSpec
from .spec.configs import FeatureExtractorConfig, LossConfig, OptimizerConfig, ScheduleConfig
from .spec.loading import load_spec
from .system.files import atomic_write, read_cache, write_cache
from .training.runner import run
from .version import __version__

__all__ = [
    "Augmentation",
    "AugmentationPlugin",
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
    "Penalty",
    "PenaltyPlugin",
    "Players",
    "PluginError",
    "PublishedCurve",
    "ReferenceImages",
    "Registry",
    "Result",
    "Schedule",
    "ScheduleConfig",
    "SchedulePlugin",
    "ScoreWarning",
    "TrackerContext",
    "TrackerPlugin",
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
