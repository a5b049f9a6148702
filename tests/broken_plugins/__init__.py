"""For each rule of each contract, a small plugin that breaks it, and for each kind, one that keeps all rules."""

from __future__ import annotations

from typing import Any

from ganbench.plugin.kinds import Kind

from . import (
    any_kind,
    augmentation,
    benchmark,
    dataset,
    executor,
    feature_extractor,
    loss,
    metric,
    model,
    optimizer,
    penalty,
    schedule,
    tracker,
)
from .broken import Broken as Broken

MODULES: dict[Kind, Any] = {
    Kind.MODEL: model,
    Kind.LOSS: loss,
    Kind.DATASET: dataset,
    Kind.METRIC: metric,
    Kind.FEATURE_EXTRACTOR: feature_extractor,
    Kind.OPTIMIZER: optimizer,
    Kind.PENALTY: penalty,
    Kind.AUGMENTATION: augmentation,
    Kind.SCHEDULE: schedule,
    Kind.TRACKER: tracker,
    Kind.EXECUTOR: executor,
    Kind.BENCHMARK: benchmark,
}
SOUND = {kind: module.SOUND for kind, module in MODULES.items()}


def broken(kind: Kind) -> dict[str, Broken]:
    """Return the plugins of a kind that break a rule, by the rule."""
    shared = ["the summary says more than the name"] if kind is Kind.BENCHMARK else list(any_kind.BROKEN)
    return {rule: any_kind.BROKEN[rule](SOUND[kind]) for rule in shared} | MODULES[kind].BROKEN
