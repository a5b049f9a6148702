"""The trackers of a run: from the benchmark, the user's configuration and the command line."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganbench.errors import GanbenchError, GanbenchWarning, MissingError, UsageError, describe
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Benchmark, TrackerPlugin
from ganbench.plugin.registry import Registry
from ganbench.results.layout import LAUNCH
from ganbench.system.files import config_dir

from .configs import TrackerConfig

RESUME = "--resume"
CREDENTIALS = re.compile(r"(?<!/)//[^/\s]*@")  # in an address such as https://user:password@host


def config_file() -> Path:
    """Return the path of the user's configuration: `trackers`, a list of names or of tables with name and options."""
    return config_dir() / "config.toml"


def choose_trackers(
    given: Iterable[str], benchmark: str, registry: Registry, recorded: Iterable[Mapping[str, Any]] = ()
) -> list[TrackerConfig]:
    """Return the trackers for a run: those of the benchmark, in the user's configuration, `recorded` and `given`.

    - `given`: names, or TOML tables with name and options.
    - `recorded`: tables with name and options, of the trackers with which a resumed run was started.

    An option that is set in several of these places has the value of the last one. Raises `UsageError` for an unknown
    tracker, a repeated name, an invalid option, a password in an option and a configuration that cannot be read, and
    `MissingError` for a tracker that is not installed. If that concerns a recorded tracker, it is a warning, and the
    tracker is left out.
    """
    own = [
        name
        for registered in registry.of_kind(Kind.BENCHMARK)
        if registered.plugin.name == benchmark and isinstance(registered.plugin, Benchmark)
        for name in registered.plugin.trackers
    ]
    requested = [(f"--track {text}", parse_tracker(text)) for text in given]
    names = [table["name"] for _, table in requested]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--track {repeated[0]}: given twice")
    sources = [
        *((f"benchmark {benchmark}", {"name": name}) for name in own),
        *read_config(registry),
        *((RESUME, table) for table in recorded),
        *requested,
    ]
    tables: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    for where, table in sources:
        tables[table["name"]] = {**tables.get(table["name"], {}), **table}
        places[table["name"]] = where
    configs = []
    for name, table in tables.items():
        try:
            config = validate(table, registry, places[name])
            refuse_credentials(config, places[name])
            require_installed(config, places[name])
        except GanbenchError as error:
            if places[name] != RESUME:
                raise
            warnings.warn(f"{error}; continuing without this tracker of the run", GanbenchWarning, stacklevel=2)
        else:
            configs.append(config)
    return configs


def parse_tracker(text: str) -> dict[str, Any]:
    """Parse a name, or a TOML table with name and options."""
    if not text.lstrip().startswith("{"):
        return {"name": text}
    try:
        table = tomllib.loads(f"tracker = {text}")["tracker"]
    except ValueError as error:
        raise UsageError(f"--track {text}: not a TOML table: {error}") from None
    if not isinstance(table.get("name"), str):
        raise UsageError(f"--track {text}: the table has no name")
    return table


def read_config(registry: Registry) -> list[tuple[str, dict[str, Any]]]:
    """Return the trackers in the user's configuration: the path of the file, and a table with name and options.

    Returns none if there is no configuration. If there is no access to it, that is a warning.
    """
    try:
        file = config_file()
        text = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UsageError) as error:
        problem = f"{file}: cannot read it: {error.strerror}" if isinstance(error, OSError) else str(error)
        warnings.warn(f"{problem}; continuing without the user's own trackers", GanbenchWarning, stacklevel=3)
        return []
    try:
        content = tomllib.loads(text.decode("utf-8-sig"))
    except ValueError as error:
        raise UsageError(f"{file}: cannot read the configuration: {error}") from None
    if unknown := sorted(set(content) - {"trackers"}):
        raise UsageError(f"{file}: unknown key '{unknown[0]}'; available: trackers")
    trackers = content.get("trackers", [])
    if not isinstance(trackers, list):
        raise UsageError(f"{file}: trackers must be a list of names or tables")
    for number, tracker in enumerate(trackers):
        validate(tracker, registry, f"{file}: trackers.{number}")
    tables = [{"name": tracker} if isinstance(tracker, str) else tracker for tracker in trackers]
    names = [table["name"] for table in tables]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{file}: tracker '{repeated[0]}' is configured twice")
    return [(str(file), table) for table in tables]


def validate(tracker: Any, registry: Registry, where: str) -> TrackerConfig:
    try:
        return TrackerConfig.model_validate(tracker, context={"registry": registry})
    except ValidationError as error:
        raise UsageError(f"{where}: {describe(error)}") from None


def refuse_credentials(config: TrackerConfig, where: str) -> None:
    """Raise `UsageError` for an address with a user or a password, because options are stored in the run directory.

    The description of the option says where else the tracker looks for them.
    """
    for option, field in type(config.options).model_fields.items():
        if CREDENTIALS.search(str(getattr(config.options, option))):
            raise UsageError(
                f"{CREDENTIALS.sub('//…@', where)}: {option} contains a user or a password, which would be stored in "
                f"{LAUNCH} in the run directory; remove them from the address, and set an environment variable "
                f"instead. {option}: {field.description}"
            )


def require_installed(config: TrackerConfig, where: str) -> None:
    """Raise `MissingError` if a module is missing that the tracker requires, with the command that installs it."""
    plugin = config.plugin.plugin
    assert isinstance(plugin, TrackerPlugin)
    for module, requirement in plugin.requires.items():
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # the package of a module such as aim.pytorch
            found = None
        if found is None or found.origin is None:  # a folder of that name, such as the one that wandb makes
            raise MissingError(
                f"{where}: the tracker '{config.name}' requires {module}, which is not installed; run pip install "
                f"'{requirement}'"
            )
