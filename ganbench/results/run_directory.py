"""The files of a run directory."""

from __future__ import annotations

import csv
import io
import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ganbench.errors import GanbenchError, GanbenchWarning, UsageError, describe
from ganbench.system.files import why_no_locks, write_text

from .schema import EpochRow, Result, monitor_names

LAUNCH = "launch.json"  # how the run was started
LOCK = ".lock"  # held by the run that writes in a run directory


def stopped_spec(directory: Path) -> Path:
    """The spec's file in a run directory. Raises `UsageError` if it is none."""
    file = directory / "spec.toml"
    if not file.is_file():
        raise UsageError(f"--resume {directory}: it is no run directory: there is no spec.toml in it")
    return file


def is_leftover(file: Path) -> bool:
    """Whether it is what a run leaves that was killed before it had written anything."""
    return file.name == LOCK or (file.name.startswith(".") and ".part" in file.suffixes)


class RunDirectory:
    """The folder of one run; every file in it appears whole or not at all."""

    def __init__(self, benchmark: str, out: Path | None = None) -> None:
        """A new run directory at `out`, or at runs/BENCHMARK/<UTC time>-<short id>; `locked` makes it.

        Raises `UsageError` if it could not be written or already holds something.
        """
        self._begin()
        self.path = out or Path("runs") / benchmark / self.run_id
        nearest = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise UsageError(f"run directory {self.path}: cannot write to {nearest}")
        if any(file.is_file() and not is_leftover(file) for file in self.path.rglob("*")):
            raise UsageError(f"run directory {self.path}: it is not empty; choose another with --out")

    @classmethod
    def reopened(cls, path: Path) -> RunDirectory:
        """The directory of a run that stopped. Raises `UsageError` if it is none."""
        stopped_spec(path)
        directory = cls.__new__(cls)
        directory._begin()
        directory.path = path
        return directory

    def _begin(self) -> None:
        self.created_at = datetime.now(UTC)
        self.run_id = f"{self.created_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        self.artifacts: dict[str, str] = {}
        self._failed_extras: set[str] = set()

    def adopt(self, run_id: str, created_at: datetime, artifacts: dict[str, str]) -> None:
        """Be the directory of an earlier process's run, with the files that it has written."""
        self.run_id, self.created_at, self.artifacts = run_id, created_at, dict(artifacts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if it is not there, and hold it: no other run writes into it within the block.

        What a run that was killed has left half written goes away. Raises `UsageError` if the folder cannot be made, or
        another run holds it. Where the file system has no locks, it warns and holds nothing: a lock file of our own
        would outlive a run that is killed.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            unlocked = why_no_locks(self.path / LOCK)
            lock = nullcontext() if unlocked else FileLock(self.path / LOCK).acquire(timeout=0)
        except Timeout:
            raise UsageError(f"run directory {self.path}: another run is writing there") from None
        except OSError as error:
            raise UsageError(f"run directory {self.path}: cannot write there: {error.strerror}") from None
        if unlocked:
            warnings.warn(
                f"run directory {self.path}: the file system has no locks ({unlocked}): start no second run there",
                GanbenchWarning,
                stacklevel=3,
            )
        with lock:
            for file in self.path.rglob(".*"):
                if is_leftover(file) and file.name != LOCK:
                    file.unlink()
            yield

    def file(self, name: str, artifact: str) -> Path:
        """The path of a file in the directory, listed in the result under `artifact`."""
        self.artifacts[artifact] = name
        return self.path / name

    @contextmanager
    def extra(self, name: str, artifact: str, warned: Callable[[str], None]) -> Iterator[Path]:
        """The path of a file to write within the block that only shows the result: if it fails, that is a warning."""
        path = self.path / name
        try:
            path.parent.mkdir(exist_ok=True)
            yield path
        except Exception as error:
            if name not in self._failed_extras:
                warned(f"{name} could not be written: {describe(error)}")
            self._failed_extras.add(name)
        else:
            self.file(name, artifact)

    def write_spec(self, toml: str) -> None:
        self.write_text("spec.toml", toml)
        self.artifacts["spec"] = "spec.toml"

    def write_history(self, history: list[EpochRow], warned: Callable[[str], None]) -> None:
        """Write history.csv: a row for each epoch, the monitors between losses and speed. The result has it as well."""
        columns = ["epoch", "d_loss", "g_loss", *monitor_names(history), "images", "seconds", "images_per_second"]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.model_dump() for row in history)
        with self.extra("history.csv", "history", warned) as path:
            write_text(path, text.getvalue())

    def write_result(self, result: Result) -> None:
        self.write_text("result.json", result.to_json())

    def write_text(self, name: str, text: str) -> None:
        """Write a file that the run cannot do without. Raises `GanbenchError` if that fails."""
        try:
            write_text(self.path / name, text)
        except OSError as error:
            raise GanbenchError(f"cannot write {self.path / name}: {error.strerror or error}") from error
