"""Load plugins, isolating failures, and look them up by kind and name."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ganbench.errors import (
    GanbenchError,
    GanbenchWarning,
    ImagesOnlyError,
    PluginError,
    UsageError,
    describe,
    suggestion,
)
from ganbench.system.files import StrPath, expand_home, file_version, is_dir, is_file
from ganbench.system.source import examine_anew
from ganbench.system.torch_defaults import preserve_torch_defaults
from ganbench.version import PLUGIN_API, __version__

from . import hookspecs
from .installed import (
    ONLY_VARIABLE,
    LoadFailure,
    Provider,
    Stage,
    installed_plugins,
)
from .interfaces import breach
from .kinds import Kind
from .own_state import REUSED, build_in_progress, is_reused
from .registrations import REGISTRATIONS, Buildable, Registration

ENTRY_POINT_GROUP = hookspecs.PROJECT
WITH_STATE = (Kind.MODEL, Kind.LOSS, Kind.PENALTY, Kind.AUGMENTATION)  # that training changes


@dataclass(frozen=True)
class Registered:
    """A plugin and its provider."""

    plugin: Registration
    provider: Provider

    def build(self, options: Any, context: Any) -> Any:
        """Call the plugin's `build`. An exception becomes a `PluginError` that names the plugin and package."""
        assert isinstance(self.plugin, Buildable)
        with self.wrap_errors("raised in build"), build_in_progress():
            with preserve_torch_defaults(f"{self}: its build changed"):
                try:
                    built = self.plugin.build(options, context)
                except ImagesOnlyError as error:
                    raise UsageError(f"{self} {error}") from None
            if (problem := breach(built, self.plugin.build_types)) is not None:
                raise PluginError(f"{self}: {problem}")
            if self.plugin.kind in WITH_STATE and is_reused(built):
                raise PluginError(f"{self}: {REUSED}")
        return built

    @contextmanager
    def wrap_errors(self, action: str) -> Iterator[None]:
        """Convert exceptions other than `GanbenchError` to a `PluginError` that names the plugin and package."""
        try:
            yield
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"{self} {action}: {describe(error)}") from error

    def record(self) -> dict[str, str | None]:
        """Return kind and name of the plugin, and package, version and source hash of its provider."""
        return {
            "kind": self.plugin.kind.value,
            "name": self.plugin.name,
            "distribution": self.provider.distribution,
            "version": self.provider.version,
            "source": self.provider.source,
        }

    def __str__(self) -> str:
        return f"{self.plugin.kind} '{self.plugin.name}' (from {self.provider})"


@dataclass
class Registry:
    """All loaded plugins, and all failures to load."""

    providers: list[Provider] = field(default_factory=list)
    failures: list[LoadFailure] = field(default_factory=list)
    _registered: dict[Kind, dict[str, list[Registered]]] = field(default_factory=lambda: {kind: {} for kind in Kind})

    @classmethod
    def load(cls, extra: StrPath | Iterable[StrPath] = (), optional: Iterable[str] = ()) -> Registry:
        """Load all installed plugins, then the `extra` and `optional` ones: paths of Python files or names of modules.

        Failures of installed plugins are recorded in `failures`. A failure of an extra plugin raises `PluginError`, or
        `UsageError` if the file or module does not exist; that of an optional one is a warning.
        """
        examine_anew()
        registry = cls()
        loader = _Loader(registry)
        installed, registry.failures = installed_plugins(ENTRY_POINT_GROUP)
        for provider, entry_point in installed:
            loader.load_entry_point(provider, entry_point)
        for name in each_once(plugin_names(extra)):
            loader.load_extra(name)
        for name in dict.fromkeys(optional):
            loader.load_optional(name)
        return registry

    def of_kind(self, kind: Kind) -> list[Registered]:
        """Return all plugins of a kind, sorted by name; a name with several providers appears several times."""
        return [registered for _, claims in sorted(self._registered[kind].items()) for registered in claims]

    def all_plugins(self) -> list[Registered]:
        """Return all plugins of all kinds."""
        return [registered for kind in Kind for registered in self.of_kind(kind)]

    def find(self, kind: Kind, name: str) -> Registered:
        """Return the plugin called `name`, which may have the form `name@package`.

        Raises `UsageError` if there is none, or if several packages provide the name and none is given.
        """
        name, _, distribution = name.partition("@")
        claims = self._registered[kind].get(name, [])
        if distribution and claims:
            providers = ", ".join(claim.provider.distribution for claim in claims)
            claims = [claim for claim in claims if claim.provider.distribution == distribution]
            if not claims:
                raise UsageError(f"{kind} '{name}' is provided by {providers}, not by '{distribution}'")
        if not claims:
            raise UsageError(f"unknown {kind} '{name}'; {self._hint(name, sorted(self._registered[kind]))}")
        if len(claims) > 1:
            owners = " and ".join(str(claim.provider) for claim in claims)
            raise UsageError(
                f"{kind} '{name}' is provided by {owners}: select one as {name}@{claims[0].provider.distribution}, "
                f"uninstall one, or list the packages to load in the environment variable {ONLY_VARIABLE}"
            )
        return claims[0]

    def named(self, name: str) -> list[Registered]:
        """Return the plugins of any kind called `name`. Raises `UsageError` if there is none."""
        plain, _, distribution = name.partition("@")
        found = [
            registered
            for registered in self.all_plugins()
            if registered.plugin.name == plain and distribution in ("", registered.provider.distribution)
        ]
        if not found:
            if (kind := Kind.named(name)) is not None:
                raise UsageError(f"'{name}' is a kind of plugin; list its plugins with `ganbench list {kind.plural}`")
            known = sorted({registered.plugin.name for registered in self.all_plugins()})
            raise UsageError(f"unknown plugin '{name}'; {self._hint(name, known)}")
        return found

    def _hint(self, name: str, known: list[str]) -> str:
        hint = suggestion(name, known)
        if self.failures:
            broken = "; ".join(str(failure) for failure in self.failures)
            hint += f"{'' if hint.endswith('?') else '.'} Some plugins failed to load: {broken}"
        return hint

    def add(self, registered: Registered) -> None:
        """Register a plugin. A name registered twice is recorded as a failure.

        If both plugins come from the same package, the second one is dropped.
        """
        plugin, provider = registered.plugin, registered.provider
        claims = self._registered[plugin.kind].setdefault(plugin.name, [])
        for claim in claims:
            cause = f"{plugin.kind} '{plugin.name}' is registered twice, here and by {claim.provider}"
            self.failures.append(LoadFailure(provider, "name", cause))
        if all(claim.provider.distribution != provider.distribution for claim in claims):
            claims.append(registered)


class _Loader:
    """Loads providers into a registry, one by one; a failure affects only its provider."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)

    def load_entry_point(self, provider: Provider, entry_point: EntryPoint) -> None:
        self.registry.providers.append(provider)
        try:
            with preserve_torch_defaults("its import changed"):
                module = entry_point.load()
        except (Exception, SystemExit) as error:
            self._fail(provider, "import", describe(error))
            return
        self.collect(module, provider)

    def load_extra(self, name: str) -> None:
        try:
            with preserve_torch_defaults(f"-p {name}: its import changed"):
                module, provider = _import_extra(name)
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"-p {name}: the plugin failed to import: {describe(error)}") from error
        self.registry.providers.append(provider)
        known = len(self.registry.failures)
        self.collect(module, provider)
        if len(self.registry.failures) > known:
            raise PluginError(f"-p {name}: {self.registry.failures[known].cause}")

    def load_optional(self, name: str) -> None:
        """Like `load_extra`, but if that fails, warn and leave the registry as it was."""
        registry = self.registry
        providers, failures = list(registry.providers), list(registry.failures)
        registered = {
            kind: {claimed: list(claims) for claimed, claims in names.items()}
            for kind, names in registry._registered.items()
        }
        try:
            self.load_extra(name)
        except GanbenchError as error:
            registry.providers, registry.failures, registry._registered = providers, failures, registered
            warnings.warn(f"{error}; continuing without this plugin of the run", GanbenchWarning, stacklevel=4)

    def collect(self, module: Any, provider: Provider) -> None:
        """Call each hook of a plugin module and add what it returns."""
        needed = getattr(module, "PLUGIN_API", PLUGIN_API)
        if needed != PLUGIN_API:
            cause = (
                f"requires plugin API version {needed!r}, but ganbench {__version__} has version {PLUGIN_API}; install "
                f"a version of {provider.distribution} or of ganbench that matches"
            )
            self._fail(provider, "register", cause)
            return
        name = f"{provider.distribution}:{provider.entry_point}:{provider.module}"
        if self.manager.is_registered(module) or self.manager.has_plugin(name):
            first = next(each for each in self.registry.providers if each.module == provider.module)
            cause = f"the same plugin is already loaded, from {first.given or first}; leave one of them out"
            self._fail(provider, "register", cause)
            return
        try:
            self.manager.register(module, name=name)
        except pluggy.PluginValidationError as error:
            self._fail(provider, "register", describe(error))
            return
        for problem in self._misnamed(module):
            self._fail(provider, "register", problem)
        for kind in Kind:
            for implementation in getattr(self.manager.hook, kind.hook).get_hookimpls():
                if implementation.plugin is module:
                    self._call(kind, implementation.function, provider)

    def _call(self, kind: Kind, hook: Callable[[], Any], provider: Provider) -> None:
        try:
            plugins = hook()
        except (Exception, SystemExit) as error:
            self._fail(provider, "hook", f"{kind.hook} raised {describe(error)}")
            return
        if not isinstance(plugins, list):
            self._fail(provider, "hook", f"{kind.hook} must return a list, got {plugins!r}")
            return
        expected = REGISTRATIONS[kind]
        for plugin in plugins:
            if isinstance(plugin, expected):
                self.registry.add(Registered(plugin, provider))
            else:
                message = f"{kind.hook} must return only {expected.__name__} objects, got {plugin!r}"
                self._fail(provider, "hook", message)

    def _fail(self, provider: Provider, stage: Stage, cause: str) -> None:
        self.registry.failures.append(LoadFailure(provider, stage, cause))

    def _misnamed(self, module: Any) -> list[str]:
        """Describe mistakes in hooks: marked functions with unknown names, and unmarked functions with known names."""
        hooks = [kind.hook for kind in Kind]
        problems = []
        for caller in self.manager.get_hookcallers(module) or []:
            if caller.spec is None:
                problems.append(f"unknown hook {caller.name}; {suggestion(caller.name, hooks)}")
        for hook in hooks:
            function = getattr(module, hook, None)
            if function is not None and not hasattr(function, f"{hookspecs.PROJECT}_impl"):
                problems.append(f"{hook} is not marked with @ganbench.hookimpl")
        return problems


def plugin_names(given: StrPath | Iterable[StrPath]) -> list[str]:
    """Return plugins that are given as files or modules, one or several, as values of -p.

    Raises `UsageError` for anything else.
    """
    several = [given] if isinstance(given, str | os.PathLike) else given
    try:
        return [expand_home(os.fsdecode(each)) for each in several]
    except TypeError:
        raise UsageError(f"plugins: expected Python files or names of modules, got {given!r}") from None


def each_once(names: Iterable[str]) -> list[str]:
    """Return the plugins without those that are given twice; a file may be given by several paths."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(os.path.realpath(name) if name.endswith(".py") else name, name)
    return list(first.values())


def _import_extra(name: str) -> tuple[ModuleType, Provider]:
    """Import a plugin given with -p. The version of a file is its hash, so results identify the code that ran."""
    if name.endswith(".py"):
        path = Path(name)
        if not is_file(path):
            raise UsageError(f"-p {name}: no such file")
        version = file_version(path)
        content_hash = version.partition(":")[2]
        stem = re.sub(r"\W", "_", path.stem)
        module_name = f"ganbench_plugin_{stem}_{content_hash}"  # cannot shadow an installed module
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
        return module, Provider(path.name, version, path.stem, module_name, given=str(path.resolve()))
    how = "give a path ending in .py, or the name of a module such as my.plugin"
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        kind = "this is a folder" if is_dir(Path(name)) else "neither a .py file nor a module name"
        raise UsageError(f"-p {name}: {kind}; {how}")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the current folder, as with python -m
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise  # the package exists, but one of its own imports is missing
        found = None
    if found is None:
        raise UsageError(f"-p {name}: no such module; {how}")
    if found.loader is None or found.origin is None:  # a namespace package, which has no hooks
        raise UsageError(f"-p {name}: this is a folder; {how}")
    return importlib.import_module(name), Provider(name, None, name, name, given=name)
