"""The plugins to load for a command: those installed, those given with -p, and those that a run was started with."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ganbench.errors import GanbenchWarning, MissingError, NotComparableError
from ganbench.system.files import file_version, is_file

if TYPE_CHECKING:
    from ganbench.plugin.registry import Registry

    from .launch import GivenPlugin


def load_registry(
    plugins: list[str], benchmark: str | None = None, resume: Path | None = None, use: Iterable[Path] = ()
) -> Registry:
    """Load all plugins, including those that a resumed run, and the run of a spec.toml, were started with.

    Also loads those of the runs to `use`, which need not have all of them, and those of the trackers of a resumed run;
    warns of each that cannot be loaded.
    """
    from ganbench.plugin.registry import Registry

    optional: list[str] = []
    if resume is not None:
        optional += plugins_of_trackers(plugins, resume)
        plugins = plugins_to_resume(plugins, resume)
    if benchmark is not None:
        plugins = plugins_for_spec(plugins, benchmark)
    for run in use:
        optional += plugins_to_use([*plugins, *optional], run)
    return Registry.load(plugins, optional)


def plugins_for_spec(given: list[str], benchmark: str) -> list[str]:
    """Return the plugins to load for a benchmark: those given and, for the spec.toml of a run, those of that run.

    Raises `MissingError` if a plugin file no longer exists.
    """
    if not is_file(Path(benchmark)):
        return given
    folder = Path(benchmark).parent
    return [*given, *(require_plugin(plugin, folder) for plugin in recorded_plugins(given, folder) if plugin.in_spec)]


def plugins_to_resume(given: list[str], folder: Path) -> list[str]:
    """Return the plugins to load to resume a run: those given and those of its spec.

    Raises `MissingError` if a plugin file no longer exists, and `NotComparableError` if one has changed.
    """
    names = list(given)
    for plugin in recorded_plugins(given, folder):
        if plugin.in_spec:
            names.append(require_plugin(plugin, folder))
            if change := describe_change(plugin, folder):
                raise NotComparableError(f"{change}; restore it, or start a new run")
    return names


def plugins_of_trackers(given: list[str], folder: Path) -> list[str]:
    """Return the plugins of a run that provide only trackers and are not given again."""
    return [locate_plugin(plugin, folder) for plugin in recorded_plugins(given, folder) if not plugin.in_spec]


def plugins_to_use(given: list[str], folder: Path) -> list[str]:
    """Return the plugins of the spec of a run that are not given again; warns of those that have changed instead."""
    names = []
    for plugin in recorded_plugins(given, folder):
        if not plugin.in_spec:
            continue
        if change := describe_change(plugin, folder):
            warnings.warn(f"{change}; it is not loaded: pass it with -p if it is needed", GanbenchWarning, stacklevel=3)
        else:
            names.append(locate_plugin(plugin, folder))
    return names


def recorded_plugins(given: list[str], folder: Path) -> list[GivenPlugin]:
    """Return the plugins of a run directory that are not given again, as a file with equal name or content."""
    from .launch import read_launch  # here, because it imports pydantic

    files = [Path(name) for name in given if name.endswith(".py")]
    again = {*given, *(file.name for file in files), *(file_version(file) for file in files if is_file(file))}
    return [
        plugin
        for plugin in read_launch(folder).plugins
        if not {plugin.given, Path(plugin.given).name, plugin.version} & again
    ]


def locate_plugin(plugin: GivenPlugin, folder: Path) -> str:
    """Return the argument of -p for a plugin: its path after moving with the run directory, or else its old path.

    Prefers a file that exists, and one with unchanged content.
    """
    if plugin.from_run is None:
        return plugin.given
    places = ((folder / plugin.from_run).resolve(), Path(plugin.given))
    candidates = [path for path in places if is_file(path)] or [Path(plugin.given)]
    unchanged = (path for path in candidates if is_file(path) and file_version(path) == plugin.version)
    return str(next(unchanged, candidates[0]))


def require_plugin(plugin: GivenPlugin, folder: Path) -> str:
    """Like `locate_plugin`, but raise `MissingError` if the file no longer exists."""
    path = locate_plugin(plugin, folder)
    if plugin.version and not is_file(Path(path)):
        raise MissingError(
            f"{folder}: the plugin {path} ({plugin.version}), which the run was started with, no longer exists; "
            "restore it, or pass a copy of the same name with -p"
        )
    return path


def describe_change(plugin: GivenPlugin, folder: Path) -> str | None:
    """Return how the file of a plugin has changed since the run was started; None if it has not, or is missing."""
    path = Path(locate_plugin(plugin, folder))
    if plugin.version and is_file(path) and (now := file_version(path)) != plugin.version:
        return f"{folder}: the plugin {path} has changed since the run was started, from {plugin.version} to {now}"
    return None
