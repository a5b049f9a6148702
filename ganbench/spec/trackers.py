"""The trackers of a run: from the benchmark, the user's configuration and the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from ganbench.errors import UsageError
from ganbench.plugin.registrations import Benchmark, Kind
from ganbench.plugin.registry import Registry

from .configs import TrackerConfig


def config_file() -> Path:
    """Return the path of the user's configuration: `trackers`, a list of names or of tables with name and options."""
    return Path(platformdirs.user_config_dir("ganbench")) / "config.toml"


def choose_trackers(names: Iterable[str], benchmark: str, registry: Registry) -> list[TrackerConfig]:
    """Return the trackers for a run: those of the benchmark, those in the user's configuration, and `names`.

    Options come from the user's configuration. Raises `UsageError` for an unknown tracker, a repeated name, and a
    configuration that cannot be read.
    """
    configured = {tracker.name: tracker for tracker in read_config(config_file(), registry)}
    own = [
        name
        for registered in registry.of_kind(Kind.BENCHMARK)
        if registered.plugin.name == benchmark and isinstance(registered.plugin, Benchmark)
        for name in registered.plugin.trackers
    ]
    requested = list(names)
    if repeated := sorted({name for name in requested if requested.count(name) > 1}):
        raise UsageError(f"--track {repeated[0]}: given twice")
    chosen = dict.fromkeys([*own, *configured, *requested])
    return [configured.get(name) or validate(name, registry, f"--track {name}") for name in chosen]


def read_config(file: Path, registry: Registry) -> list[TrackerConfig]:
    """Return the trackers in a configuration file; none if the file does not exist."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot read the configuration: {error}") from None
    if unknown := sorted(set(content) - {"trackers"}):
        raise UsageError(f"{file}: unknown key '{unknown[0]}'; available: trackers")
    trackers = content.get("trackers", [])
    if not isinstance(trackers, list):
        raise UsageError(f"{file}: trackers must be a list of names or tables")
    configs = [validate(tracker, registry, f"{file}: trackers.{number}") for number, tracker in enumerate(trackers)]
    names = [config.name for config in configs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{file}: tracker '{repeated[0]}' is configured twice")
    return configs


def validate(tracker: Any, registry: Registry, where: str) -> TrackerConfig:
    try:
        return TrackerConfig.model_validate(tracker, context={"registry": registry})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"{where}: {f'{path}: ' if path else ''}{problem['msg']}") from None
