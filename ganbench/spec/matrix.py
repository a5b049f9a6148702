"""A suite's TOML file: a matrix over benchmarks, plugins, options and seeds, and the cells that it describes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ganbench.errors import UsageError, describe, suggestion
from ganbench.plugin.options import StrictModel
from ganbench.plugin.registry import Registry

from .benchmark import BenchmarkSpec
from .ids import ID
from .loading import read_benchmark, read_toml, resolve, with_fixed_references
from .overrides import apply_settings
from .processes import check_processes

SEED = "training.seed"
BENCHMARK, PROCESSES = "benchmark", "processes"  # the only axes that are not paths in the spec
SHOWN_CELLS = 3  # wrong cells in an error
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Table = dict[str, Any]


class SuiteFile(StrictModel):
    """The content of a suite's file. All paths into the spec are dotted, with or without quotes."""

    name: str = Field(pattern=ID, description="name of the suite's folder")
    benchmark: str | None = Field(None, description="registered name or TOML file; default: given by an axis")
    processes: int | None = Field(
        None,
        ge=1,
        description="processes of each run, started by torchrun, each on its own GPU; default: 1, or given by an axis",
    )
    plugins: list[str] = Field([], description="plugin files or modules to load, as with -p")
    seeds: list[Seed] = Field([], description="seeds with which every combination is run; default: the benchmark's own")
    options: Table = Field({}, description="fields of the spec, for all cells")
    axes: Table = Field({}, description="lists of values, by path: every combination is a cell")
    linked: dict[str, dict[str, Table]] = Field(
        {}, description="axes whose named values set several fields together, such as linked.method.NAME.loss"
    )
    exclude: list[Table] = Field([], description="combinations to leave out: values of some axes")
    include: list[Table] = Field([], description="additional combinations: fields that they set")
    executors: dict[str, Table] = Field({}, description="options of executors, by name")


@dataclass(frozen=True)
class Cell:
    """One run of a suite: the settings that tell it from others, and the resolved spec."""

    axes: dict[str, Any]  # axis to value; the name of the value for a linked axis
    spec: BenchmarkSpec
    processes: int = 1

    @cached_property
    def id(self) -> str:
        """The name of the run directory. It depends on nothing but the spec's content and the number of processes."""
        split = f"-{self.processes}processes" if self.processes > 1 else ""
        return f"{self.spec.name}-seed{self.spec.training.seed}-{self.spec.sha256()[:12]}{split}"

    @property
    def label(self) -> str:
        """The cell's place in the matrix, such as "loss=hinge, seed=1"."""
        return label(self.axes) or self.spec.name


def label(axes: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis.removeprefix('training.')}={show(value)}" for axis, value in axes.items())


def show(value: Any) -> str:
    """Show an axis's value briefly: text without quotes, and a plugin's table as "adam(lr=0.1)"."""
    if isinstance(value, Mapping) and "name" in value:
        return f"{value['name']}({', '.join(f'{key}={show(item)}' for key, item in value.items() if key != 'name')})"
    return value if isinstance(value, str) else json.dumps(value, default=str)  # a date, for example


def read_suite_file(path: Path) -> SuiteFile:
    """Read a suite's file; its name defaults to that of the file. Raises `UsageError` if it is invalid."""
    content = {"name": path.stem, **read_toml(path, "suite")}
    try:
        return SuiteFile.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"suite {path}: {describe(error)}") from None


def make_cells(suite: SuiteFile, registry: Registry, folder: Path) -> list[Cell]:
    """Return all cells, with resolved specs, in the order of the file.

    Files of benchmarks are relative to `folder`. Raises `UsageError` if the matrix is inconsistent, a spec is invalid
    or cannot be split over its processes, or two cells are the same; the message names the cells.
    """
    cells: list[Cell] = []
    wrong: list[str] = []
    for axes, settings in combinations(suite):
        try:
            spec, processes = make_spec(settings, registry, folder), read_processes(settings)
            check_processes(spec, processes)
            cells.append(Cell(axes, spec, processes))
        except UsageError as error:
            wrong.append(f"cell {label(axes) or suite.name}: {error}")
    if wrong:
        more = f"; wrong cells not shown: {len(wrong) - SHOWN_CELLS}" if len(wrong) > SHOWN_CELLS else ""
        raise UsageError(f"suite {suite.name}: {'; '.join(wrong[:SHOWN_CELLS])}{more}")
    if not cells:
        raise UsageError(f"suite {suite.name}: no cell is left: remove an entry of [[exclude]]")
    first: dict[str, Cell] = {}
    for cell in cells:
        same = first.setdefault(cell.id, cell)
        if same is not cell:
            raise UsageError(
                f"suite {suite.name}: two cells are the same: '{same.label}' and '{cell.label}' would train "
                "identically; remove one value, or leave one cell out with [[exclude]]"
            )
    return cells


def make_spec(settings: Mapping[str, Any], registry: Registry, folder: Path) -> BenchmarkSpec:
    """Resolve the spec of a cell from all its settings, including the benchmark."""
    benchmark = settings.get(BENCHMARK)
    if benchmark is None:
        raise UsageError("no benchmark: give `benchmark`, at the top of the file or as an axis")
    if not isinstance(benchmark, str):
        raise UsageError(f"benchmark: give a registered name or a TOML file, got {benchmark!r}")
    if benchmark.lower().endswith(".toml"):
        benchmark = str(folder / benchmark)
    data = read_benchmark(benchmark, registry)
    data = with_fixed_references(data, registry, benchmark)
    fields = [(path, value) for path, value in settings.items() if path not in (BENCHMARK, PROCESSES)]
    return resolve(apply_settings(data, fields), registry, origin=benchmark)


def read_processes(settings: Mapping[str, Any]) -> int:
    """Return the number of processes of a cell, from all its settings."""
    processes = settings.get(PROCESSES, 1)
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise UsageError(f"{PROCESSES}: give a whole number of at least 1, got {processes!r}")
    return processes


def combinations(suite: SuiteFile) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the axes' values and all settings of each cell: first the matrix, then the included cells."""
    top = {BENCHMARK: suite.benchmark, PROCESSES: suite.processes}
    given = {name: value for name, value in top.items() if value is not None}
    options, axes = by_path(suite.options), all_axes(suite)
    check_settings(suite, axes, {"the top of the file": given, "options": options})
    common = options | given
    excluded = [by_path(entry, whole=axes) for entry in suite.exclude]
    used: set[int] = set()
    seeds: list[dict[str, Any]] = [{SEED: seed} for seed in suite.seeds] or [{}]
    matrix = product(*([(axis, *point) for point in points] for axis, points in axes.items())) if axes else [()]
    for combination in matrix if axes or not suite.include else ():
        values = {axis: value for axis, value, _ in combination}
        settings = {path: value for *_, fields in combination for path, value in fields.items()}
        for seed in seeds:
            matching = {n for n, entry in enumerate(excluded) if entry.items() <= (values | seed).items()}
            used |= matching
            if not matching:
                yield values | seed, common | settings | seed
    for number, entry in enumerate(excluded):
        if number not in used:
            raise UsageError(f"suite {suite.name}: exclude.{number} matches no cell: {label(entry)}")
    for number, entry in enumerate(map(by_path, suite.include)):
        if suite.seeds and SEED in entry:
            raise UsageError(
                f"suite {suite.name}: include.{number} sets {SEED}, but so does seeds; leave one of them out"
            )
        for seed in seeds:
            yield seed | entry | seed, common | seed | entry


def all_axes(suite: SuiteFile) -> dict[str, list[tuple[Any, dict[str, Any]]]]:
    """Return the points of each axis: the value to show, and the fields that it sets."""
    axes: dict[str, list[tuple[Any, dict[str, Any]]]] = {}
    for axis, values in by_path(suite.axes).items():
        if not isinstance(values, list) or not values:
            raise UsageError(f"suite {suite.name}: axes.{axis}: give a list of at least one value, got {values!r}")
        axes[axis] = [(value, {axis: value}) for value in values]
    for axis, points in suite.linked.items():
        if axis in axes or not points:
            problem = "is also in axes" if points else "has no values"
            raise UsageError(f"suite {suite.name}: linked.{axis} {problem}")
        axes[axis] = [(name, by_path(fields)) for name, fields in points.items()]
    return axes


def check_settings(
    suite: SuiteFile, axes: Mapping[str, list[tuple[Any, dict[str, Any]]]], common: Mapping[str, Table]
) -> None:
    """Raise `UsageError` if two places set the same field, or `exclude` names an axis that no cell has.

    `common` has the settings of all cells by their place in the file.
    """
    setters: dict[str, str] = {SEED: "seeds"} if suite.seeds else {}
    sources = {place: set(fields) for place, fields in common.items()} | {
        f"axis {axis}": {path for _, fields in points for path in fields} for axis, points in axes.items()
    }
    for source, paths in sources.items():
        for path in sorted(paths):
            if path in setters:
                raise UsageError(f"suite {suite.name}: {path} is set twice, by {setters[path]} and by {source}")
            setters[path] = source
    known = [*axes, *([SEED] if suite.seeds else [])]
    for number, entry in enumerate(suite.exclude):
        for axis in by_path(entry, whole=axes):
            if axis not in known:
                hint = suggestion(axis, known, "axes")
                raise UsageError(f"suite {suite.name}: exclude.{number}: no cell has the axis '{axis}'; {hint}")


def by_path(table: Mapping[str, Any], path: str = "", whole: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of nested tables by dotted path, in their order; `name` of a plugin's table is left out.

    The values at the paths in `whole` may be tables themselves.
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = key if not path else path if key == "name" else f"{path}.{key}"
        nested = isinstance(value, Mapping) and value and inner not in whole
        flat |= by_path(value, inner, whole) if nested else {inner: value}
    return flat
