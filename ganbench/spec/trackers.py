"""Which trackers a run gets: of the benchmark, of the user's configuration, and of the command line."""

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
    """The user's configuration: `trackers`, a list of names or of tables with a name and options."""
    return Path(platformdirs.user_config_dir("ganbench")) / "config.toml"


def choose_trackers(names: Iterable[str], benchmark: str, registry: Registry) -> list[TrackerConfig]:
    """The trackers of a run of a benchmark: its own, those in the user's configuration, and `names`.

    A name that is configured as well takes its options from there. Raises `UsageError` for an unknown tracker, for two
    of one name, and for a configuration that cannot be read.
    """
    configured = {tracker.name: tracker for tracker in read_config(config_file(), registry)}
    own = [
        name
        for registered in registry.of_kind(Kind.BENCHMARK)
        if registered.plugin.name == benchmark and isinstance(registered.plugin, Benchmark)
        for name in registered.plugin.trackers
    ]
    asked = list(names)
    if repeated := sorted({name for name in asked if asked.count(name) > 1}):
        raise UsageError(f"--track {repeated[0]}: given twice")
    chosen = dict.fromkeys([*own, *configured, *asked])
    return [configured.get(name) or validate(name, registry, f"--track {name}") for name in chosen]


def read_config(file: Path, registry: Registry) -> list[TrackerConfig]:
    """The trackers in a configuration file; none where there is no file."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot read the configuration: {error}") from None
    if unknown := sorted(set(content) - {"trackers"}):
        raise UsageError(f"{file}: unknown key '{unknown[0]}'; there is: trackers")
    trackers = content.get("trackers", [])
    if not isinstance(trackers, list):
        raise UsageError(f"{file}: trackers: wanted a list of names or tables")
    configs = [validate(tracker, registry, f"{file}: trackers.{number}") for number, tracker in enumerate(trackers)]
    names = [config.name for config in configs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{file}: two trackers are called '{repeated[0]}'")
    return configs


def validate(tracker: Any, registry: Registry, where: str) -> TrackerConfig:
    try:
        return TrackerConfig.model_validate(tracker, context={"registry": registry})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"{where}: {f'{path}: ' if path else ''}{problem['msg']}") from None
