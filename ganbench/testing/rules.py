"""The table of rules: the contract of each kind of plugin, and what each of its rules checks."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from ganbench.plugin.kinds import Kind

from .augmentation import AugmentationContract
from .benchmark import BenchmarkContract
from .contract import Contract
from .dataset import DatasetContract
from .executor import ExecutorContract
from .feature_extractor import FeatureExtractorContract
from .loss import LossContract
from .metric import MetricContract
from .model import ModelContract
from .optimizer import OptimizerContract
from .penalty import PenaltyContract
from .schedule import ScheduleContract
from .tracker import TrackerContract
from .update import UpdateContract

CONTRACTS: dict[Kind, type[Contract]] = {
    Kind.MODEL: ModelContract,
    Kind.LOSS: LossContract,
    Kind.DATASET: DatasetContract,
    Kind.METRIC: MetricContract,
    Kind.FEATURE_EXTRACTOR: FeatureExtractorContract,
    Kind.OPTIMIZER: OptimizerContract,
    Kind.PENALTY: PenaltyContract,
    Kind.AUGMENTATION: AugmentationContract,
    Kind.SCHEDULE: ScheduleContract,
    Kind.TRACKER: TrackerContract,
    Kind.EXECUTOR: ExecutorContract,
    Kind.BENCHMARK: BenchmarkContract,
}
PREFIX = "test_"


@dataclass(frozen=True)
class Rule:
    """A rule of a contract: one of its tests."""

    test: str  # the method
    name: str  # "the same seed builds the same networks"
    checks: str  # the first paragraph of the test's docstring


def rules_of(contract: type[Contract]) -> list[Rule]:
    """Return the rules of a contract, in the order in which they are checked: those of all kinds first, steps last."""
    bases: list[type] = list(reversed(contract.__mro__))
    bases.sort(key=lambda base: base is UpdateContract)
    tests = dict.fromkeys(name for base in bases for name in vars(base) if name.startswith(PREFIX))
    return [
        Rule(test, test.removeprefix(PREFIX).replace("_", " "), summary_of(inspect.getdoc(getattr(contract, test))))
        for test in tests
    ]


def summary_of(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())
