"""The arguments of a run in addition to its spec, stored in launch.json so that they need not be repeated."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ganbench.errors import (
    GanbenchWarning,
    MissingError,
    NotComparableError,
    UsageError,
)
from ganbench.results.layout import LAUNCH
from ganbench.results.record import Record, first_problem
from ganbench.system.files import file_version

from .benchmark import BenchmarkSpec
from .configs import TrackerConfig


class GivenPlugin(Record):
    """A plugin given with -p and used by the spec."""

    given: str = Field(description="absolute path of a file, or name of a module")
    from_run: str | None = Field(
        description="path of a file relative to the run directory, in case both are moved; null for a module"
    )
    version: str | None = Field(description="hash of a file; null for a module")


class Launch(Record):
    """How a run was started."""

    plugins: list[GivenPlugin] = Field([], description="plugins given with -p and used by the spec")
    data_dir: str | None = Field(None, description="absolute path given with --data-dir; null if none was given")
    device: str = Field("auto", description="value of --device")
    trackers: list[dict[str, Any]] = Field([], description="trackers: tables with name and options")
    processes: int = Field(1, description="processes over which the run is split")

    def resume(self, before: Launch, data_dir: Path | None) -> Launch:
        """Combine with the launch of the resumed run; arguments given now, including `data_dir`, take precedence."""
        device = before.device if self.device == "auto" else self.device
        folder = before.data_dir if data_dir is None else self.data_dir
        if folder is not None and not Path(folder).is_dir():
            warnings.warn(
                f"the data folder {folder}, which the run was started with, no longer exists; using the default one, "
                "because --data-dir was not given",
                GanbenchWarning,
                stacklevel=3,
            )
            folder = self.data_dir
        return self.model_copy(update={"device": device, "data_dir": folder or self.data_dir})


def make_launch(
    spec: BenchmarkSpec,
    folder: Path,
    data_dir: Path | None,
    device: str,
    trackers: Sequence[TrackerConfig],
    processes: int = 1,
) -> Launch:
    """Record how a run of `spec` in `folder` is started."""
    providers = dict.fromkeys(config.plugin.provider for config in (*spec.plugin_configs(), *trackers))
    plugins = []
    for provider in providers:
        if provider.given is not None:
            from_run = os.path.relpath(provider.given, folder.absolute()) if provider.version else None
            plugins.append(GivenPlugin(given=provider.given, from_run=from_run, version=provider.version))
    return Launch(
        plugins=plugins,
        data_dir=str(data_dir.absolute()) if data_dir else None,
        device=device,
        trackers=[config.model_dump() for config in trackers],
        processes=processes,
    )


def read_launch(folder: Path) -> Launch:
    """Read how the run in a run directory was started; empty if that was not recorded.

    Raises `UsageError` if the file is invalid.
    """
    file = folder / LAUNCH
    try:
        return Launch.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Launch()
    except (OSError, ValidationError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error.strerror
        raise UsageError(f"{file}: corrupt, or not written by ganbench: {problem}") from None


def plugins_for_spec(given: list[str], benchmark: str) -> list[str]:
    """Return the plugins to load for a benchmark: those given and, for the spec.toml of a run, those of that run."""
    if not Path(benchmark).is_file():
        return given
    folder = Path(benchmark).parent
    return [*given, *(locate_plugin(plugin, folder) for plugin in recorded_plugins(given, folder))]


def plugins_to_resume(given: list[str], folder: Path) -> list[str]:
    """Return the plugins to load to resume a run: those given and those that it was started with.

    Raises `NotComparableError` if a plugin file has changed since.
    """
    names = list(given)
    for plugin in recorded_plugins(given, folder):
        path = locate_plugin(plugin, folder)
        if plugin.version and (now := file_version(Path(path))) != plugin.version:
            raise NotComparableError(
                f"{folder}: the plugin {path} has changed since the run was started, from {plugin.version} to {now}; "
                "restore it, or start a new run"
            )
        names.append(path)
    return names


def recorded_plugins(given: list[str], folder: Path) -> list[GivenPlugin]:
    """Return the plugins of a run directory that are not given again, as a file with equal name or content."""
    files = [Path(name) for name in given if name.endswith(".py")]
    again = {*given, *(file.name for file in files), *(file_version(file) for file in files if file.is_file())}
    return [
        plugin
        for plugin in read_launch(folder).plugins
        if not {plugin.given, Path(plugin.given).name, plugin.version} & again
    ]


def locate_plugin(plugin: GivenPlugin, folder: Path) -> str:
    """Return the argument of -p for a plugin: its old path, or its path after moving with the run directory.

    Prefers a file with unchanged content. Raises `MissingError` if neither file exists.
    """
    if plugin.from_run is None:
        return plugin.given
    places = ((folder / plugin.from_run).resolve(), Path(plugin.given))
    candidates = [path for path in places if path.is_file()]
    if not candidates:
        raise MissingError(
            f"{folder}: the plugin {plugin.given} ({plugin.version}), which the run was started with, no longer "
            "exists; restore it, or pass a copy of the same name with -p"
        )
    return str(next((path for path in candidates if file_version(path) == plugin.version), candidates[0]))
