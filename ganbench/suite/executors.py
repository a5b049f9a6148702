"""Choosing the executor of a suite, with its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganbench.errors import UsageError, describe
from ganbench.plugin.jobs import Executor
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import ExecutorContext
from ganbench.plugin.registry import Registry
from ganbench.results.layout import EXECUTORS
from ganbench.spec.configs import ExecutorConfig
from ganbench.spec.overrides import apply_overrides


def choose_executor(
    name: str, tables: Mapping[str, Mapping[str, Any]], overrides: Iterable[str], registry: Registry
) -> ExecutorConfig:
    """Return the executor with the options of the suite's file, by executor, and those of the command line, KEY=VALUE.

    Raises `UsageError` if an executor is unknown or an option is invalid.
    """
    registry.find(Kind.EXECUTOR, name)
    for each in tables:
        try:
            registry.find(Kind.EXECUTOR, each)
        except UsageError as error:
            raise UsageError(f"executors.{each}: {error}") from None
    options = {**tables.get(name, {}), "name": name}
    table = apply_overrides(options, overrides, "-x", "KEY=VALUE, such as -x jobs=2")
    try:
        return ExecutorConfig.model_validate(table, context={"registry": registry})
    except ValidationError as error:
        raise UsageError(f"executor {name}: {describe(error)}") from None


def build_executor(config: ExecutorConfig, folder: Path, device: str) -> Executor:
    """Build the executor with a folder of its own in the suite's folder. Raises what its `build` raises."""
    directory = folder / EXECUTORS / config.plugin.plugin.name
    directory.mkdir(exist_ok=True)
    executor: Executor = config.build(ExecutorContext(directory, device))
    return executor
