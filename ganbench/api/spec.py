"""The spec of a run, given in any form in which scripts and notebooks have it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganbench.errors import UsageError
from ganbench.plugin.registrations import PublishedCurve
from ganbench.plugin.registry import Registry, plugin_names
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.loading import find_published_curve, is_spec_file, load_stopped_spec, resolve
from ganbench.spec.loading import load_spec as load_named_spec
from ganbench.spec.overrides import apply_overrides
from ganbench.spec.plugins import load_registry
from ganbench.system.files import StrPath, expand_home

from .arguments import check_overrides


@dataclass(frozen=True)
class FoundSpec:
    """A resolved spec, the published curve of its benchmark if there is one, and the registry of its plugins."""

    spec: BenchmarkSpec
    published_curve: PublishedCurve | None
    registry: Registry


def load_spec(
    benchmark: StrPath | BenchmarkSpec, *overrides: str, plugins: StrPath | Iterable[StrPath] = ()
) -> BenchmarkSpec:
    """Return the resolved spec of a registered benchmark, a TOML file, or another spec, with overrides "PATH=VALUE".

    `plugins` are files or modules of plugins that are not installed. Raises `UsageError` with the path of each invalid
    field.
    """
    return resolve_spec(benchmark, overrides, plugins).spec


def resolve_spec(benchmark: Any, overrides: Iterable[str], plugins: StrPath | Iterable[StrPath]) -> FoundSpec:
    """Like `load_spec`, with what belongs to the spec."""
    changes, given = check_overrides(overrides), plugin_names(plugins)
    if isinstance(benchmark, str | os.PathLike):
        name = expand_home(benchmark)
        registry = load_registry(given, name)
        spec = load_named_spec(name, registry, changes)
        registered = spec.name if is_spec_file(name, registry) else name
        return FoundSpec(spec, find_published_curve(registered, registry), registry)
    if not isinstance(benchmark, BenchmarkSpec):
        expected = "a name, the path of a TOML file or a spec from load_spec"
        raise UsageError(f"benchmark: expected {expected}, got {type(benchmark).__name__}")
    own = given_plugins(benchmark)
    registry = Registry.load([*given, *own])
    spec = benchmark
    if changes or own:  # the registry has loaded its own plugins anew
        spec = resolve(apply_overrides(benchmark.to_dict(), changes), registry, origin=benchmark.name)
    return FoundSpec(spec, find_published_curve(spec.name, registry), registry)


def resolve_stopped_spec(folder: Path, overrides: Iterable[str], plugins: StrPath | Iterable[StrPath]) -> FoundSpec:
    """Like `resolve_spec`, for the run in a run directory."""
    changes = check_overrides(overrides)
    registry = load_registry(plugin_names(plugins), resume=folder)
    spec = load_stopped_spec(folder, registry, changes)
    return FoundSpec(spec, find_published_curve(spec.name, registry), registry)


def given_plugins(spec: BenchmarkSpec) -> list[str]:
    """Return the files and modules of the plugins in a spec that are not installed."""
    given = (config.plugin.provider.given for config in spec.plugin_configs())
    return list(dict.fromkeys(each for each in given if each is not None))
