"""The folder of a suite: opening it for a file, locking it, and writing what `results/suite_record.py` reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ganbench.errors import GanbenchError, UsageError
from ganbench.plugin.jobs import Job
from ganbench.results.differences import differing_fields
from ganbench.results.run_directory import LOCK
from ganbench.results.suite_record import (
    SUITE,
    Attempt,
    Attempts,
    CellRecord,
    SuiteRecord,
    is_suite,
    read_attempts,
    read_suite,
)
from ganbench.spec.matrix import Cell, SuiteFile, flatten
from ganbench.system.files import write_text

LOCK_SECONDS = 1.0  # `suite status` may hold the lock for a moment to see whether a suite is running
WHERE = ("executors",)  # parts of the file that say where cells run, not which


class SuiteFolder:
    """A suite's folder, for the command that runs it."""

    def __init__(self, path: Path, suite: SuiteFile, cells: Sequence[Cell]) -> None:
        """Choose the folder; `locked` creates it. Raises `UsageError` if it belongs to another file."""
        self.path = path
        self.suite = suite
        self.cells = {cell.id: cell for cell in cells}
        self.earlier: list[CellRecord] = []  # cells that an earlier version of the file had
        if is_suite(path):
            before = read_suite(path)
            self._require_shared_cells(before)
            self.earlier = [cell for cell in before.cells if cell.id not in self.cells]
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path}: not a suite's folder, and not empty; choose another with --out")

    def _require_shared_cells(self, before: SuiteRecord) -> None:
        if not before.cells or any(cell.id in self.cells for cell in before.cells):
            return
        sides = [flatten(before.file), flatten(self.suite.model_dump(mode="json", exclude_defaults=True))]
        fields = {name: values for name, values in differing_fields(sides).items() if name.split(".")[0] not in WHERE}
        changes = "; ".join(f"{name}: {old}, now {new}" for name, (old, new) in fields.items())
        raise UsageError(
            f"{self.path}: the folder is of another suite: none of its {len(before.cells)} cells is among those "
            f"of this file. What differs: {changes or 'the benchmark itself'}. Choose another folder with --out"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it. Raises `UsageError` if that fails or another command runs the suite."""
        try:
            for name in ("specs", "runs", "attempts", "logs", "executors"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK).acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise UsageError(
                f"{self.path}: another command is running this suite; `ganbench suite status {self.path}` shows it"
            ) from None
        except OSError as error:
            raise UsageError(f"{self.path}: cannot write to it: {error.strerror}") from None
        with lock:
            yield

    @property
    def records(self) -> list[CellRecord]:
        """The cells of the file, in its order."""
        return [
            CellRecord(
                id=cell.id,
                label=cell.label,
                axes=cell.axes,
                seed=cell.spec.training.seed,
                processes=cell.processes,
            )
            for cell in self.cells.values()
        ]

    def write(self) -> None:
        """Write suite.json and the specs of all cells. Raises `GanbenchError` if that fails."""
        file = self.suite.model_dump(mode="json", exclude_defaults=True)
        record = SuiteRecord(name=self.suite.name, file=file, cells=[*self.records, *self.earlier])
        try:
            for cell in self.cells.values():
                write_text(self.path / "specs" / f"{cell.id}.toml", cell.spec.to_toml())
            write_text(self.path / SUITE, record.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise GanbenchError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def run_directory(self, cell: str) -> Path:
        return self.path / "runs" / cell

    def add_attempt(self, cell: str, attempt: Attempt, replace: bool = False) -> None:
        """Store another attempt of a cell, or replace the last one when it has ended."""
        attempts = read_attempts(self.path, cell)
        attempts = [*attempts[: len(attempts) - replace], attempt]
        text = Attempts(attempts=attempts).model_dump_json(indent=2) + "\n"
        write_text(self.path / "attempts" / f"{cell}.json", text)

    def discard_run(self, cell: str) -> None:
        """Move the run directory of an unfinished cell aside, so that the cell starts anew."""
        directory = self.run_directory(cell)
        if directory.exists():
            kept = self.path / "discarded"
            kept.mkdir(exist_ok=True)
            number = sum(1 for _ in kept.glob(f"{cell}-*")) + 1
            directory.rename(kept / f"{cell}-{number}")

    def job(self, cell: str, arguments: Sequence[str]) -> Job:
        """Return the job of a cell; `arguments` are added to both of its commands."""
        directory = self.run_directory(cell).absolute()
        spec = (self.path / "specs" / f"{cell}.toml").absolute()
        processes = self.cells[cell].processes
        launcher = ("-m", "ganbench.runtime.torchrun", str(processes)) if processes > 1 else ()
        command = (sys.executable, *launcher, "-m", "ganbench", "run")
        return Job(
            name=cell,
            directory=directory,
            begin=(*command, str(spec), "--out", str(directory), *arguments),
            resume=(*command, "--resume", str(directory), *arguments),
            log=(self.path / "logs" / f"{cell}.log").absolute(),
            working_directory=Path.cwd(),
            processes=processes,
        )


def default_folder(suite: SuiteFile) -> Path:
    return Path("suites") / suite.name
