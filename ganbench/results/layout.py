"""Where runs and suites keep their files: the one place that knows the names.

The run directory:

spec.toml         the resolved spec; a directory with this file is a run's, even before the first checkpoint
launch.json       how the run was started
checkpoint.pt     everything that resuming needs, and the networks
progress.json     the state of training, while the run lasts
result.json       the result, once there is one
history.csv       one row per epoch
losses.png        plot of the losses
samples/          grids of images, real and generated: see `sample_names`
trace.json        with --profile, the trace of some steps
trackers.json     the runs that trackers made of the run
trackers/         what trackers print
report.html       with --report, the result as one page

A folder of runs with several seeds has a run directory seed-N for each of them.

The suite's folder, which is the state of the suite: nothing else is kept anywhere.

suite.json        the suite's file, all cells that it describes, and those of earlier versions of it
specs/CELL.toml   the resolved spec of each cell
runs/CELL/        its run directory
attempts/CELL.json, logs/CELL.log
executors/NAME/   what an executor keeps
discarded/CELL-N/ run directories that --restart has moved aside
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ganbench.system.files import is_file

SPEC = "spec.toml"
LAUNCH = "launch.json"
CHECKPOINT = "checkpoint.pt"
PROGRESS = "progress.json"
RESULT = "result.json"
HISTORY = "history.csv"
LOSSES = "losses.png"
SAMPLES = "samples"
TRACE = "trace.json"
TRACKERS = "trackers.json"
TRACKER_LOGS = "trackers"
REPORT = "report.html"

SUITE = "suite.json"
CELL_SPECS = "specs"
CELL_RUNS = "runs"
CELL_ATTEMPTS = "attempts"
CELL_LOGS = "logs"
EXECUTORS = "executors"
DISCARDED = "discarded"
SUITE_FOLDERS = (CELL_SPECS, CELL_RUNS, CELL_ATTEMPTS, CELL_LOGS, EXECUTORS)


def new_id(created_at: datetime) -> str:
    """Return a unique name for a run or a folder that was created at a time in UTC."""
    return f"{created_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def is_run_directory(folder: Path) -> bool:
    """Return whether a folder holds the spec or the checkpoint of a run."""
    return any(is_file(folder / name) for name in (SPEC, CHECKPOINT))


def has_result(directory: Path) -> bool:
    return is_file(directory / RESULT)


def last_written(directory: Path) -> float:
    """Return when a run last wrote one of its files, in seconds since the epoch; 0 if it has none."""
    times = [0.0]
    for name in (SPEC, CHECKPOINT, PROGRESS, RESULT, HISTORY):
        with suppress(OSError):  # there is none, or the run removes it
            times.append((directory / name).stat().st_mtime)
    return max(times)


def run_of(path: Path) -> Path:
    """Return the run directory, given it or its result.json; any other path is returned as it is."""
    return path.parent if path.name == RESULT else path


def seed_run(folder: Path, seed: int) -> Path:
    """Return the run directory of one of several seeds."""
    return folder / f"seed-{seed}"


def is_suite(folder: Path) -> bool:
    return is_file(folder / SUITE)


def cell_spec(suite: Path, cell: str) -> Path:
    return suite / CELL_SPECS / f"{cell}.toml"


def cell_run(suite: Path, cell: str) -> Path:
    return suite / CELL_RUNS / cell


def cell_attempts(suite: Path, cell: str) -> Path:
    return suite / CELL_ATTEMPTS / f"{cell}.json"


def cell_log(suite: Path, cell: str) -> Path:
    return suite / CELL_LOGS / f"{cell}.log"
