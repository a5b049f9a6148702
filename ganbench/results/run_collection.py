"""Finding runs: every result, and every run that has none, in any number of folders."""

from __future__ import annotations

import errno
import json
import os
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganbench.errors import GanbenchError, GanbenchWarning, MissingError, UsageError
from ganbench.system.files import exists, is_dir, is_file

from .layout import CELL_RUNS, LAUNCH, SPEC, cell_run, cell_spec, has_result, is_suite, run_of
from .schema import Result, load_result
from .suite_record import CellRecord, read_attempts, read_suite

UNFINISHED = "unfinished"  # killed, still running, or never started


@dataclass(frozen=True)
class FoundRun:
    """A run, or an evaluation of images made elsewhere: its spec, and its result if it has one."""

    path: Path
    spec: dict[str, Any]
    status: str  # of the result, else "failed" or "unfinished"
    result: Result | None
    processes: int = 1  # of a run over several devices

    @property
    def place(self) -> Path:
        """The directory or file of the run, the same for all paths and links that lead to it."""
        return run_of(self.path.resolve())

    @property
    def trained(self) -> bool:
        """Whether a seed is known, so that it can be in a row with others."""
        return "training" in self.spec

    @property
    def seed(self) -> int:
        """The seed of the training run; 0 for an evaluation."""
        return int(self.spec["training"]["seed"]) if self.trained else 0

    @property
    def name(self) -> str:
        return str(self.result.benchmark if self.result else self.spec["name"])


def find_runs(paths: Iterable[Path]) -> list[FoundRun]:
    """Return all runs in these result files, run directories, suites' folders and folders of any of these.

    Raises `MissingError` if a path contains none, and `UsageError` if a given file is invalid; warns of others.
    """
    found: dict[Path, FoundRun] = {}
    for path in paths:
        try:
            problem = "no runs found" if exists(path) else "no such file or folder"
            runs = list(runs_in(path))
        except OSError as error:
            raise MissingError(f"{path}: cannot be read: {error.strerror or error}") from None
        if not runs:
            raise MissingError(
                f"{path}: {problem}; pass run directories, suites' folders, result files or folders of these"
            )
        for run in runs:
            found.setdefault(run.place, run)
    return list(found.values())


def runs_in(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[FoundRun]:
    """Yield the runs in a file or folder, with the result files of evaluations that it has directly.

    Warns of what cannot be read in a folder. `above` are the folders that contain it, to which a link may lead back.
    """
    if is_file(path) or has_result(path):
        yield with_result(path, load_result(path))
    elif is_suite(path):
        yield from runs_of_suite(path)
    elif is_file(path / SPEC):
        yield FoundRun(path, read_spec(path / SPEC), UNFINISHED, None, read_processes(path))
    elif is_dir(path) and (folder := path.resolve()) not in above:
        if not os.access(path, os.X_OK):  # its files have names, but all else about them is hidden
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        for inner in sorted(path.iterdir()):
            with left_out_if_unreadable(inner):
                if is_dir(inner):
                    yield from list(runs_in(inner, above | {folder}))
                elif inner.suffix == ".json" and is_result_file(inner):
                    yield from runs_in(inner)


@contextmanager
def left_out_if_unreadable(path: Path) -> Iterator[None]:
    """Turn an error in the block, which reads a path that was not given, into a warning: other runs can be shown."""
    try:
        yield
    except (OSError, GanbenchError) as error:  # such as another user's folder, or a corrupt result
        why = error.strerror or error if isinstance(error, OSError) else error
        warnings.warn(f"{path}: left out: {why}", GanbenchWarning, stacklevel=3)


def read_processes(directory: Path) -> int:
    """Return the number of processes over which an unfinished run is split, as recorded when it was started."""
    with suppress(OSError, ValueError, TypeError, LookupError):
        return int(json.loads((directory / LAUNCH).read_bytes())["processes"])
    return 1


def is_result_file(path: Path) -> bool:
    """Return whether a JSON file claims to be a result, such as that of `ganbench eval`."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"schema_version", "run_id", "metrics", "throughput"} <= content.keys()


def runs_of_suite(folder: Path) -> Iterator[FoundRun]:
    """Yield a run for each cell, including those that never wrote a file; warn of cells that are left out."""
    suite = read_suite(folder)
    if suite.note:
        warnings.warn(f"{folder}: {suite.note}; {folder / CELL_RUNS} has all runs", GanbenchWarning, stacklevel=2)
    for cell in suite.cells:
        with left_out_if_unreadable(cell_run(folder, cell.id)):
            yield read_cell(folder, cell)


def read_cell(folder: Path, cell: CellRecord) -> FoundRun:
    """Return the run of a cell. Raises `UsageError` if its result, or the spec that stands in for it, is invalid."""
    directory = cell_run(folder, cell.id)
    file = cell_spec(folder, cell.id)
    if has_result(directory):
        run = with_result(directory, load_result(directory))
        with suppress(UsageError):  # the result suffices without it
            run = replace(run, spec=filled_from_cell(run.spec, read_spec(file)))
        return run
    attempts = read_attempts(folder, cell.id)
    status = "failed" if attempts and attempts[-1].problem else UNFINISHED
    return FoundRun(directory, read_spec(file), status, None, cell.processes)


def filled_from_cell(spec: Any, of_cell: Any) -> Any:
    """Return a run's spec with the options that a plugin or ganbench has gained since: those of its cell's spec."""
    if isinstance(spec, dict) and isinstance(of_cell, dict):
        return {**of_cell, **{key: filled_from_cell(value, of_cell.get(key)) for key, value in spec.items()}}
    if isinstance(spec, list) and isinstance(of_cell, list) and len(spec) == len(of_cell):
        return [filled_from_cell(*pair) for pair in zip(spec, of_cell, strict=True)]
    return spec


def with_result(path: Path, result: Result) -> FoundRun:
    return FoundRun(path, result.spec, result.status, result, result.throughput.processes)


def read_spec(file: Path) -> dict[str, Any]:
    """Read the resolved spec of a run. Raises `UsageError` if the file is anything else."""
    try:
        spec = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot read the spec: {error}") from None
    if "name" not in spec or "seed" not in spec.get("training", {}):
        raise UsageError(f"{file}: not the resolved spec of a run: name or training.seed is missing")
    return spec
