"""The run directory and its files."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ganbench.errors import GanbenchError, UsageError, describe
from ganbench.system.files import exists, explained_write, is_dir, is_file, write_text
from ganbench.system.locks import LOCK, locked_folder

from .layout import CHECKPOINT, HISTORY, PROGRESS, RESULT, SPEC, is_run_directory, new_id
from .schema import LOSS_COLUMNS, EpochRow, Result, load_result, monitor_names


def run_spec_file(directory: Path) -> Path:
    """Return the path of spec.toml in a run directory. Raises `UsageError` if it does not exist."""
    file = directory / SPEC
    if not is_file(file):
        raise UsageError(
            f"--resume {directory}: not a run directory ({SPEC} not found); pass the directory of an earlier run"
        )
    return file


def require_run_directory(folder: Path) -> None:
    """Raise `UsageError` if a folder is not a run directory."""
    if not is_run_directory(folder):
        refuse_folder_of_runs(folder)
        raise UsageError(f"{folder}: not a run directory ({CHECKPOINT} not found); pass the directory of a run")


def refuse_folder_of_runs(folder: Path) -> None:
    """Raise `UsageError` for a folder that contains run directories, such as that of a benchmark or of a suite."""
    levels = ("*", "*/*", "*/*/*")  # a folder of suites has three: SUITE/runs/RUN
    runs = sorted(file.parent for level in levels for file in folder.glob(f"{level}/{SPEC}"))
    if runs:
        advice = f"{len(runs):,} runs; pass the directory of one, such as" if len(runs) > 1 else "a run; pass"
        raise UsageError(f"{folder}: contains {advice} {runs[-1]}")


def is_leftover(file: Path) -> bool:
    """Return whether a killed command left this behind: a lock file, or a partial file or folder."""
    return file.name == LOCK or (file.name.startswith(".") and ".part" in file.suffixes)


class RunDirectory:
    """The folder of one run; all files in it are written atomically."""

    def __init__(self, benchmark: str, out: Path | None = None) -> None:
        """Choose a new run directory: `out`, or runs/BENCHMARK/<UTC time>-<short id>; `locked` creates it.

        Raises `UsageError` if it is not writable or not empty.
        """
        self._begin()
        self.path = out or Path("runs") / benchmark / self.run_id
        nearest = next(folder for folder in (self.path, *self.path.absolute().parents) if exists(folder))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise UsageError(f"run directory {self.path}: cannot write to {nearest}")
        self._is_new = True
        self._require_empty()

    def _require_empty(self) -> None:
        if is_dir(self.path) and any(file.is_file() and not is_leftover(file) for file in self.path.rglob("*")):
            raise UsageError(f"run directory {self.path}: not empty; choose another with --out")

    @classmethod
    def reopen(cls, path: Path) -> RunDirectory:
        """Open the directory of an earlier run to resume it. Raises `UsageError` if it is not a run directory."""
        run_spec_file(path)
        directory = cls.__new__(cls)
        directory._begin()
        directory._is_new = False
        directory.path = path
        return directory

    def _begin(self) -> None:
        self.created_at = datetime.now(UTC)
        self.run_id = new_id(self.created_at)
        self.artifacts: dict[str, str] = {}
        self._failed_extras: set[str] = set()

    def adopt(self, run_id: str, created_at: datetime, artifacts: dict[str, str]) -> None:
        """Continue the run of an earlier process: take over its id, creation time and artifacts."""
        self.run_id, self.created_at, self.artifacts = run_id, created_at, dict(artifacts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder if needed and lock it, so that no other run writes to it within the block.

        Removes partial files and folders of killed commands. Raises `UsageError` if the folder cannot be created or
        another run has locked it.
        """
        name, in_use = f"run directory {self.path}", "another run is writing to it"
        with locked_folder(self.path, name, in_use, "do not start a second run in it"):
            if self._is_new:
                self._require_empty()  # again: another run may have begun and ended since
            for file in list(self.path.rglob(".*")):
                if is_leftover(file) and file.name != LOCK:
                    if file.is_dir():
                        shutil.rmtree(file)
                    else:
                        file.unlink(missing_ok=True)  # it may have been in such a folder
            yield

    def has_trained(self) -> bool:
        """Return whether the result of an earlier process has steps."""
        try:
            return bool(load_result(self.path).throughput.windows)
        except GanbenchError:  # there is none, or it cannot be read
            return (self.path / HISTORY).is_file()

    def file(self, name: str, artifact: str) -> Path:
        """Return the path of a file in the directory, and list it in the result under `artifact`."""
        self.artifacts[artifact] = name
        return self.path / name

    @contextmanager
    def extra(self, name: str, artifact: str, warn: Callable[[str], None]) -> Iterator[Path]:
        """Yield the path of an optional file to write within the block; warn if that fails, once per file."""
        path = self.path / name
        try:
            path.parent.mkdir(exist_ok=True)
            yield path
        except Exception as error:
            if name not in self._failed_extras:
                warn(f"{name} could not be written: {describe(error)}")
            self._failed_extras.add(name)
        else:
            self.file(name, artifact)

    def write_spec(self, toml: str) -> None:
        self.write_text(SPEC, toml)
        self.artifacts["spec"] = SPEC

    def write_history(self, history: list[EpochRow], warn: Callable[[str], None]) -> None:
        """Write history.csv, one row per epoch, with the monitors between losses and speed."""
        columns = ["epoch", *LOSS_COLUMNS, *monitor_names(history), "images", "seconds", "images_per_second"]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.model_dump() for row in history)
        with self.extra(HISTORY, "history", warn) as path:
            write_text(path, text.getvalue())

    def write_result(self, result: Result) -> None:
        self.write_text(RESULT, result.to_json())

    def write_progress(self, text: str) -> None:
        """Write the state of training; a failure is ignored, because only displays read it."""
        part = self.path / f".{PROGRESS}.part"
        with suppress(OSError):
            part.write_text(text, encoding="utf-8")
            part.replace(self.path / PROGRESS)

    def remove_progress(self) -> None:
        with suppress(OSError):
            (self.path / PROGRESS).unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write a required file. Raises `GanbenchError` if that fails."""
        with explained_write(self.path / name):
            write_text(self.path / name, text)
