"""What `ganbench` exports; `__init__.py` imports each when it is first asked for."""

from .api.compare import RunComparison, compare
from .api.evaluate import evaluate
from .api.finished import Run, load
from .api.run import run
from .api.samples import Samples
from .api.seeds import run_seeds
from .api.spec import load_spec
from .data.image_files import InvalidImageError, decode_image, find_files, map_files, why_unreadable
from .errors import (
    DataError,
    GanbenchError,
    GanbenchWarning,
    MissingError,
    PluginError,
    ScoreWarning,
    UsageError,
)
from .plugin.callbacks import Callback, Progress, RunInfo, SampleImages, TrackedRun, UpcomingEvent
from .plugin.hookspecs import hookimpl
from .plugin.interfaces import (
    Augmentation,
    Batch,
    FeatureExtractor,
    FeatureMetric,
    Features,
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
from .plugin.jobs import Executor, Job, JobEnd, JobProcess
from .plugin.options import Options
from .plugin.registrations import (
    AugmentationPlugin,
    Benchmark,
    BuildContext,
    DatasetContext,
    DatasetPlugin,
    ExecutorContext,
    ExecutorPlugin,
    FeatureExtractorPlugin,
    LossPlugin,
    MetricPlugin,
    ModelPlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    PublishedCurve,
    SchedulePlugin,
    TrackerContext,
    TrackerPlugin,
)
from .plugin.registry import Registry
from .reporting.display import Display
from .results.schema import EpochRow, MetricPoint, Result, load_result
from .spec.benchmark import BenchmarkSpec
from .spec.configs import (
    AugmentationConfig,
    FeatureExtractorConfig,
    LossConfig,
    OptimizerConfig,
    Schedulable,
    ScheduleConfig,
)
from .system.files import atomic_write, read_cache, write_cache
from .version import PLUGIN_API, __version__

__all__ = [
    "PLUGIN_API",
    "Augmentation",
    "AugmentationConfig",
    "AugmentationPlugin",
    "Batch",
    "Benchmark",
    "BenchmarkSpec",
    "BuildContext",
    "Callback",
    "DataError",
    "DatasetContext",
    "DatasetPlugin",
    "Display",
    "EpochRow",
    "Executor",
    "ExecutorContext",
    "ExecutorPlugin",
    "FeatureExtractor",
    "FeatureExtractorConfig",
    "FeatureExtractorPlugin",
    "FeatureMetric",
    "Features",
    "GanbenchError",
    "GanbenchWarning",
    "ImageData",
    "InvalidImageError",
    "Job",
    "JobEnd",
    "JobProcess",
    "Loss",
    "LossConfig",
    "LossPlugin",
    "Metric",
    "MetricPlugin",
    "MetricPoint",
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
    "Progress",
    "PublishedCurve",
    "ReferenceImages",
    "Registry",
    "Result",
    "Run",
    "RunComparison",
    "RunInfo",
    "SampleImages",
    "Samples",
    "Schedulable",
    "Schedule",
    "ScheduleConfig",
    "SchedulePlugin",
    "ScoreWarning",
    "TrackedRun",
    "TrackerContext",
    "TrackerPlugin",
    "UpcomingEvent",
    "UsageError",
    "__version__",
    "atomic_write",
    "compare",
    "decode_image",
    "evaluate",
    "find_files",
    "hookimpl",
    "load",
    "load_result",
    "load_spec",
    "map_files",
    "read_cache",
    "run",
    "run_seeds",
    "why_unreadable",
    "write_cache",
]
