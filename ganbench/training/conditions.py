"""The conditions under which a run was timed: speeds are only compared if all of them are equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganbench.system.openmp import wait_policy

from .preparation import PreparedRun


def current_conditions(prepared: PreparedRun, engine: str | None) -> dict[str, Any]:
    """Return the conditions in this process; `engine` is None before one is chosen."""
    return {
        **prepared.environment.must_match,
        **({"wait_policy": wait_policy()} if prepared.device.type == "cpu" else {}),
        "precision": prepared.precision,
        "engine": engine,
        "compile": prepared.spec.engine.compile,
        "memory_format": prepared.spec.engine.memory_format,
        "dropout": "fast" if prepared.step.fast_dropout else "torch",
        "data": prepared.batches.placement,
        "batch_size": prepared.spec.training.batch_size,
        **({} if prepared.ranks.alone else {"processes": prepared.ranks.size}),
    }


def joined(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions of a resumed run: those that changed are lists of the values in all of its processes."""
    conditions = dict(now)
    for name in earlier.keys() & now.keys():
        before = earlier[name] if isinstance(earlier[name], list) else [earlier[name]]
        if before != [now[name]]:
            conditions[name] = before if now[name] in before else [*before, now[name]]
    return conditions
