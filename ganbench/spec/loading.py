"""Loading a spec: of a registered benchmark, a TOML file or a run directory, with overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganbench.errors import UsageError
from ganbench.plugin.registrations import Benchmark, Kind, PublishedCurve
from ganbench.plugin.registry import Registry
from ganbench.results.run_directory import run_spec_file

from .benchmark import BenchmarkSpec
from .overrides import apply_overrides


def load_spec(
    benchmark: str, registry: Registry, overrides: Iterable[str] = ()
) -> tuple[BenchmarkSpec, PublishedCurve | None]:
    """The resolved spec of a registered benchmark or a TOML file, and the published curve if there is one.

    `overrides` are `path=value` texts, as after -o. Raises `UsageError` with the path of each wrong field.
    """
    reference = None
    if is_spec_file(benchmark, registry):
        data = _read_toml(Path(benchmark))
    else:
        registered = registry.find(Kind.BENCHMARK, benchmark).plugin
        assert isinstance(registered, Benchmark)
        data, reference = registered.spec, registered.published_curve
    return resolve(apply_overrides(data, overrides), registry, origin=benchmark), reference


def is_spec_file(benchmark: str, registry: Registry) -> bool:
    """Whether it is the path of a spec's file, whatever its suffix, and no registered benchmark's name."""
    if benchmark.lower().endswith(".toml"):
        return True
    names = {registered.plugin.name for registered in registry.of_kind(Kind.BENCHMARK)}
    return benchmark not in names and Path(benchmark).is_file()


def load_stopped_spec(
    directory: Path, registry: Registry, overrides: Iterable[str] = ()
) -> tuple[BenchmarkSpec, PublishedCurve | None]:
    """The spec of the run in a run directory, with the published curve of its benchmark if there is one.

    Raises `UsageError` where there is none, and for overrides that do not fit.
    """
    spec, _ = load_spec(str(run_spec_file(directory)), registry, overrides)
    benchmarks = {registered.plugin.name: registered.plugin for registered in registry.of_kind(Kind.BENCHMARK)}
    registered = benchmarks.get(spec.name)
    return spec, registered.published_curve if isinstance(registered, Benchmark) else None


def resolve(data: Mapping[str, Any], registry: Registry, origin: str) -> BenchmarkSpec:
    """Validate a spec given as a dictionary; `origin` tells in errors where it came from."""
    try:
        return BenchmarkSpec.model_validate(data, context={"registry": registry})
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            path = ".".join(str(part) for part in detail["loc"])
            got = detail["input"]
            tells = isinstance(got, bool | int | float | str) and repr(got) not in detail["msg"]
            shown = f" (got {got!r})" if tells else ""
            problems.append(f"{path}: {detail['msg']}{shown}" if path else detail["msg"])
        raise UsageError(f"benchmark {origin}: {'; '.join(problems)}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"benchmark {path}: cannot read it: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number too long, nested too deep
        raise UsageError(f"benchmark {path}: not valid TOML: {error}") from None
