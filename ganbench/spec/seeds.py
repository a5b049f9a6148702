"""Which specs may be trained at once on one GPU: those that differ only in their seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .benchmark import BenchmarkSpec

AT_ONCE = 4  # more were not measured


def may_train_at_once(spec: BenchmarkSpec) -> bool:
    """Return whether seeds of a spec may be trained at once on a GPU, which pays only for CUDA graphs.

    A time budget would end seeds that share a device after fewer steps. Networks are compiled for one run at a time.
    """
    return spec.engine.mode != "eager" and not spec.engine.compile and spec.training.budget_seconds is None


def with_seed(spec: BenchmarkSpec, seed: int) -> BenchmarkSpec:
    return spec.model_copy(update={"training": spec.training.model_copy(update={"seed": seed})})
