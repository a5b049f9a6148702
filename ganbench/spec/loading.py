"""Load specs of registered benchmarks, TOML files and run directories, with overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ganbench.errors import UsageError, describe
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Benchmark, PublishedCurve
from ganbench.plugin.registry import Registry
from ganbench.results.references import training_settings
from ganbench.results.run_directory import run_spec_file
from ganbench.system.files import is_file

from .benchmark import BenchmarkSpec
from .overrides import apply_overrides

Model = TypeVar("Model", bound=BaseModel)


def load_spec(benchmark: str, registry: Registry, overrides: Iterable[str] = ()) -> BenchmarkSpec:
    """Return the resolved spec of a registered benchmark or a TOML file.

    `overrides` are strings `path=value`, as for -o. Raises `UsageError` with the path of each invalid field.
    """
    data = read_benchmark(benchmark, registry)
    overrides = list(overrides)
    if overrides:
        data = with_fixed_references(data, registry, benchmark)
    return resolve(apply_overrides(data, overrides), registry, origin=benchmark)


def with_fixed_references(data: dict[str, Any], registry: Registry, origin: str) -> dict[str, Any]:
    """Return an unresolved spec whose references refer to its settings, even if these are changed afterwards."""
    if not data.get("references"):
        return data
    return {**data, "references": resolve(data, registry, origin).to_dict()["references"]}


def read_benchmark(benchmark: str, registry: Registry) -> dict[str, Any]:
    """Return the unresolved spec of a registered benchmark or a TOML file."""
    if is_spec_file(benchmark, registry):
        return read_toml(Path(benchmark), "benchmark")
    registered = registry.find(Kind.BENCHMARK, benchmark).plugin
    assert isinstance(registered, Benchmark)
    return registered.spec


def is_spec_file(benchmark: str, registry: Registry) -> bool:
    """Return whether `benchmark` is the path of a spec file, with any suffix, rather than a registered name."""
    if benchmark.lower().endswith(".toml"):
        return True
    names = {registered.plugin.name for registered in registry.of_kind(Kind.BENCHMARK)}
    return benchmark not in names and is_file(Path(benchmark))


def load_stopped_spec(directory: Path, registry: Registry, overrides: Iterable[str] = ()) -> BenchmarkSpec:
    """Return the spec of the run in a run directory.

    Raises `UsageError` if the directory contains no spec, and for invalid overrides.
    """
    return load_spec(str(run_spec_file(directory)), registry, overrides)


def find_published_curve(benchmark: str, registry: Registry) -> PublishedCurve | None:
    """Return the published curve of a registered benchmark; None if there is none, or no such benchmark.

    As in `Registry.find`, the name may have the form `name@package`.
    """
    name, _, distribution = benchmark.partition("@")
    benchmarks = {
        registered.plugin.name: registered.plugin
        for registered in registry.of_kind(Kind.BENCHMARK)
        if distribution in ("", registered.provider.distribution)
    }
    registered = benchmarks.get(name)
    return registered.published_curve if isinstance(registered, Benchmark) else None


def resolve(data: Mapping[str, Any], registry: Registry, origin: str) -> BenchmarkSpec:
    """Validate a spec given as a dictionary. Error messages begin with its `origin`.

    References without settings refer to those of this spec.
    """
    spec = validated(BenchmarkSpec, data, registry, f"benchmark {origin}")
    settings = training_settings(spec.to_dict())
    return spec.model_copy(update={"references": [reference.with_settings(settings) for reference in spec.references]})


def validated(model: type[Model], data: Mapping[str, Any], registry: Registry, where: str) -> Model:
    """Validate plain data. Raises `UsageError` that begins with `where` and names the path of each invalid field."""
    try:
        return model.model_validate(data, context={"registry": registry})
    except ValidationError as error:
        raise UsageError(f"{where}: {describe(error)}") from None


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file. Raises `UsageError` that begins with what it is, such as "benchmark"."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{what} {path}: cannot read the file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number too long, nested too deep
        raise UsageError(f"{what} {path}: not valid TOML: {error}") from None
