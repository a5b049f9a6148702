"""The folder of a suite: opening it for a file, locking it, and writing what `results/suite_record.py` reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from ganbench.errors import GanbenchError, UsageError
from ganbench.plugin.jobs import Job
from ganbench.plugin.registry import Registry
from ganbench.results.differences import differing_fields
from ganbench.results.layout import (
    CELL_SPECS,
    DISCARDED,
    SUITE,
    SUITE_FOLDERS,
    cell_attempts,
    cell_log,
    cell_run,
    cell_spec,
    is_suite,
)
from ganbench.results.record import NewerVersionError
from ganbench.results.run_directory import is_leftover
from ganbench.results.suite_record import (
    Attempt,
    Attempts,
    CellRecord,
    SuiteRecord,
    read_attempts,
    read_suite,
)
from ganbench.spec.loading import load_spec
from ganbench.spec.matrix import Cell, SuiteFile, by_path
from ganbench.system.files import exists, explained_write, write_text
from ganbench.system.locks import is_locked, locked_folder

from .cell_state import read_result

WHERE = ("executors",)  # parts of the file that say where cells run, not which


REMEDY = "; fix this and rerun the command to continue the suite"


class SuiteFolder:
    """A suite's folder, for the command that runs it."""

    def __init__(self, path: Path, suite: SuiteFile, cells: Sequence[Cell], registry: Registry) -> None:
        """Choose the folder; `locked` creates it. Raises `UsageError` if it belongs to another file."""
        self.path = path
        self.suite = suite
        self.cells = {cell.id: cell for cell in cells}  # by the name of their files and folders
        self.earlier: list[CellRecord] = []  # cells that have begun with an earlier version of the file
        if is_suite(path):
            before = read_suite(path)
            known = [*before.cells, *before.earlier_cells]
            earlier_ids = self._earlier_ids(known, registry)
            self.cells = {earlier_ids.get(name, name): cell for name, cell in self.cells.items()}
            self._require_shared_cells(before, known)
            self.earlier = [
                cell for cell in known if cell.id not in self.cells and self.run_directory(cell.id).exists()
            ]
        elif exists(path) and not self._is_begun():
            raise UsageError(f"{path}: not a suite's folder, and not empty; choose another with --out")

    def _earlier_ids(self, known: Sequence[CellRecord], registry: Registry) -> dict[str, str]:
        """Return the ids that cells had before a plugin or ganbench gained an option, by the ids they would have now.

        A cell is the same if its stored spec, with the defaults of the new options, is its spec now.
        """
        ids: dict[str, str] = {}
        known_ids = {record.id for record in known}
        if self.cells.keys() <= known_ids:
            return ids
        for record in known:
            if record.id not in self.cells:
                with suppress(GanbenchError):  # a spec that is no longer valid is not that of a cell
                    spec = load_spec(str(cell_spec(self.path, record.id)), registry)
                    now = Cell(record.axes, spec, record.processes).id
                    if now not in known_ids:  # else, the cell has run under its id of now as well
                        ids.setdefault(now, record.id)
        return ids

    def _is_begun(self) -> bool:
        """Return whether a folder has nothing but specs, because a command was killed before it wrote suite.json."""
        files = (file for file in self.path.rglob("*") if file.is_file() and not is_leftover(file))
        return self.path.is_dir() and all(file.parent == self.path / CELL_SPECS for file in files)

    def _require_shared_cells(self, before: SuiteRecord, known: Sequence[CellRecord]) -> None:
        if not known or any(cell.id in self.cells for cell in known):
            return
        sides = [by_path(before.file), by_path(self.suite.model_dump(mode="json", exclude_defaults=True))]
        fields = {name: values for name, values in differing_fields(sides).items() if name.split(".")[0] not in WHERE}
        changes = "; ".join(f"{name}: {old}, now {new}" for name, (old, new) in fields.items())
        raise UsageError(
            f"{self.path}: the folder belongs to another suite: it shares no cells with this file. "
            f"Differences: {changes or 'the benchmark itself'}. Choose another folder with --out"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it. Raises `UsageError` if that fails or another command runs the suite."""
        in_use = f"another command is running this suite; `ganbench suite status {self.path}` shows it"
        with locked_folder(self.path, str(self.path), in_use, "do not run the suite twice at once"):
            yield

    @property
    def records(self) -> list[CellRecord]:
        """The cells of the file, in its order."""
        return [
            CellRecord(
                id=name,
                label=cell.label,
                axes=cell.axes,
                seed=cell.spec.training.seed,
                processes=cell.processes,
            )
            for name, cell in self.cells.items()
        ]

    def write(self) -> None:
        """Write suite.json and the specs of all cells, after making folders. Raises `GanbenchError` if that fails."""
        file = self.suite.model_dump(mode="json", exclude_defaults=True)
        record = SuiteRecord(name=self.suite.name, file=file, cells=self.records, earlier_cells=self.earlier)
        with explained_write(self.path, REMEDY):
            for name in SUITE_FOLDERS:
                (self.path / name).mkdir(exist_ok=True)
            for name, cell in self.cells.items():
                write_text(cell_spec(self.path, name), cell.spec.to_toml())
            write_text(self.path / SUITE, record.model_dump_json(indent=2) + "\n")

    def run_directory(self, cell: str) -> Path:
        return cell_run(self.path, cell)

    def log(self, cell: str) -> Path:
        return cell_log(self.path, cell)

    def log_size(self, cell: str) -> int:
        """Return how many bytes all attempts of a cell have printed so far."""
        log = self.log(cell)
        return log.stat().st_size if log.exists() else 0

    def add_attempt(self, cell: str, attempt: Attempt, replace: bool = False) -> None:
        """Store another attempt of a cell, or replace the last one when it has ended.

        Raises `GanbenchError` if that fails.
        """
        attempts = read_attempts(self.path, cell)
        attempts = [*attempts[: len(attempts) - replace], attempt]
        text = Attempts(attempts=attempts).model_dump_json(indent=2) + "\n"
        with explained_write(self.path, REMEDY):
            write_text(cell_attempts(self.path, cell), text)

    def require_readable_results(self) -> None:
        """Raise `UsageError` if a result cannot be read: its cell may be finished, and would be run again."""
        for name, cell in self.cells.items():
            try:
                read_result(self.run_directory(name))
            except UsageError as error:
                advice = "" if isinstance(error, NewerVersionError) else ". If it is not, delete the file to resume it"
                raise UsageError(f"{cell.label}: this cell may be finished, but {error}{advice}") from None

    def discard_runs(self, cells: Iterable[CellRecord]) -> None:
        """Move the run directories of unfinished cells aside, so that the cells start anew.

        Raises `UsageError` if a process still writes to one, which would then write into the new run.
        """
        directories = [directory for cell in cells if (directory := self.run_directory(cell.id)).exists()]
        if running := [directory.name for directory in directories if is_locked(directory)]:
            raise UsageError(
                f"--restart: {', '.join(running)} is still running; wait until it has ended, or leave out --restart, "
                "which waits for it and resumes it"
            )
        with explained_write(self.path, REMEDY):
            for directory in directories:
                names = (self.path / DISCARDED / f"{directory.name}-{number}" for number in count(1))
                unused = next(name for name in names if not name.exists())
                unused.parent.mkdir(exist_ok=True)
                directory.rename(unused)

    def job(self, cells: Sequence[str], arguments: Sequence[str]) -> Job:
        """Return the job of a cell, or of several to train at once; `arguments` are added to both of its commands."""
        cell, *others = cells
        directory = self.run_directory(cell).absolute()
        spec = cell_spec(self.path, cell).absolute()
        processes = self.cells[cell].processes
        launcher = ("-m", "ganbench.runtime.torchrun", str(processes)) if processes > 1 else ()
        # -P: no module in the current folder takes the place of another, as for `ganbench run` itself
        ganbench = (sys.executable, "-P", *launcher, "-m", "ganbench")
        begin = (*ganbench, "run", str(spec), "--out", str(directory), *arguments)
        resume = (*ganbench, "run", "--resume", str(directory), *arguments)
        if others:
            begin = resume = (*ganbench, "suite", "train", str(self.path.absolute()), *cells, *arguments)
        return Job(
            name=cell,
            directory=directory,
            begin=begin,
            resume=resume,
            log=self.log(cell).absolute(),
            working_directory=Path.cwd(),
            others=tuple(self.run_directory(other).absolute() for other in others),
            processes=processes,
        )


def default_folder(suite: SuiteFile) -> Path:
    return Path("suites") / suite.name
