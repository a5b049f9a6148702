"""What a run was started with besides its spec: kept in its directory, so that nobody has to repeat it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from pydantic import ValidationError

from ganbench.errors import (
    GanbenchWarning,
    MissingError,
    NotComparableError,
    UsageError,
)
from ganbench.results.run_directory import LAUNCH
from ganbench.results.schema import Record
from ganbench.system.files import file_version

from .benchmark import BenchmarkSpec


class GivenPlugin(Record):
    """A plugin that was given with -p and that the spec names."""

    given: str  # a file's absolute path, or a module's name
    from_run: str | None  # a file's path from the run directory: both may have moved together
    version: str | None  # a file's hash


class Launch(Record):
    """How a run was started."""

    plugins: list[GivenPlugin] = []
    data_dir: str | None = None  # None where it was nowhere named
    device: str = "auto"

    def resuming(self, before: Launch, data_dir: Path | None) -> Launch:
        """As this process was started, or else the first one: what is given now counts more, `data_dir` among it."""
        device = before.device if self.device == "auto" else self.device
        folder = before.data_dir if data_dir is None else self.data_dir
        if folder is not None and not Path(folder).is_dir():
            warnings.warn(
                f"the data folder {folder}, which the run was started with, is gone: looking in the default one, as no "
                "other is given with --data-dir",
                GanbenchWarning,
                stacklevel=3,
            )
            folder = self.data_dir
        return self.model_copy(update={"device": device, "data_dir": folder or self.data_dir})


def launch_of(spec: BenchmarkSpec, folder: Path, data_dir: Path | None, device: str) -> Launch:
    providers = dict.fromkeys(choice.plugin.provider for choice in spec.choices())
    plugins = []
    for provider in providers:
        if provider.given is not None:
            from_run = os.path.relpath(provider.given, folder.absolute()) if provider.version else None
            plugins.append(GivenPlugin(given=provider.given, from_run=from_run, version=provider.version))
    return Launch(plugins=plugins, data_dir=str(data_dir.absolute()) if data_dir else None, device=device)


def read_launch(folder: Path) -> Launch:
    """How the run in a run directory was started; empty where that was not recorded.

    Raises `UsageError` for a file that is none of ours.
    """
    file = folder / LAUNCH
    try:
        return Launch.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Launch()
    except (OSError, ValidationError) as error:
        raise UsageError(f"{file}: not a file of ganbench's: {str(error).partition(chr(10))[0]}") from None


def plugins_for_spec(given: list[str], benchmark: str) -> list[str]:
    """What to load for a benchmark: what is given, and what a run directory's own spec.toml was started with."""
    if not Path(benchmark).is_file():
        return given
    folder = Path(benchmark).parent
    return [*given, *(path_of(plugin, folder) for plugin in recorded(given, folder))]


def plugins_to_resume(given: list[str], folder: Path) -> list[str]:
    """What to load to resume a run: what is given, and what it was started with.

    Raises `NotComparableError` where a file has changed since.
    """
    names = list(given)
    for plugin in recorded(given, folder):
        path = path_of(plugin, folder)
        if plugin.version and (now := file_version(Path(path))) != plugin.version:
            raise NotComparableError(
                f"{folder}: the plugin {path} has changed since the run was started: it was {plugin.version} and is "
                f"{now}. Restore it, or start a new run"
            )
        names.append(path)
    return names


def recorded(given: list[str], folder: Path) -> list[GivenPlugin]:
    """The plugins recorded in a run directory that are not given again: as a file of equal name or content."""
    files = [Path(name) for name in given if name.endswith(".py")]
    again = {*given, *(file.name for file in files), *(file_version(file) for file in files if file.is_file())}
    return [
        plugin
        for plugin in read_launch(folder).plugins
        if not {plugin.given, Path(plugin.given).name, plugin.version} & again
    ]


def path_of(plugin: GivenPlugin, folder: Path) -> str:
    """Where a plugin is now, for -p: where it was, or where it moved to with the run directory.

    A file of equal content comes first. Raises `MissingError` where there is no file.
    """
    if plugin.from_run is None:
        return plugin.given
    places = ((folder / plugin.from_run).resolve(), Path(plugin.given))
    candidates = [path for path in places if path.is_file()]
    if not candidates:
        raise MissingError(
            f"{folder}: the run was started with the plugin {plugin.given} ({plugin.version}), which is gone: restore "
            "it, or give the path of a copy with -p"
        )
    return str(next((path for path in candidates if file_version(path) == plugin.version), candidates[0]))
