"""Contract tests for plugins, as classes to subclass in a plugin package's own tests.

    from ganbench.testing import ModelContract
    from ganbench_tiny import ganbench_models

    class TestTiny(ModelContract):
        (plugin,) = ganbench_models()
        options = {"width": 8}

pytest then runs every rule of the contract against the plugin. Each test is a rule: its name says what is required, and
its docstring what is checked. `ganbench plugin check` runs the same tests; docs/contracts.md lists them.
"""

from .augmentation import AugmentationContract
from .benchmark import BenchmarkContract
from .contract import BATCH, SEED, TOTAL_IMAGES, Contract, PluginContract
from .dataset import DatasetContract
from .executor import ExecutorContract
from .feature_extractor import FeatureExtractorContract
from .loss import LossContract
from .metric import MetricContract
from .model import ModelContract
from .optimizer import OptimizerContract
from .penalty import PenaltyContract
from .rules import CONTRACTS, Rule, rules_of
from .schedule import ScheduleContract
from .tracker import TrackerContract
from .update import UpdateContract

__all__ = [
    "BATCH",
    "CONTRACTS",
    "SEED",
    "TOTAL_IMAGES",
    "AugmentationContract",
    "BenchmarkContract",
    "Contract",
    "DatasetContract",
    "ExecutorContract",
    "FeatureExtractorContract",
    "LossContract",
    "MetricContract",
    "ModelContract",
    "OptimizerContract",
    "PenaltyContract",
    "PluginContract",
    "Rule",
    "ScheduleContract",
    "TrackerContract",
    "UpdateContract",
    "rules_of",
]
