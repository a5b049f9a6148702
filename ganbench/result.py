"""What a run stores: the schema of result.json and the files of a run directory."""

from __future__ import annotations

import csv
import io
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import MissingError, UsageError
from .files import write_text, written_whole

SCHEMA_VERSION: Literal[1] = 1
Status = Literal["completed", "interrupted", "diverged", "failed"]


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EpochRow(BaseModel):
    """One epoch of training, or the part of one at the end. The loss's monitors are further keys of the row."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float | None]

    epoch: int
    d_loss: float | None  # mean over the epoch's steps; None where it is not finite
    g_loss: float | None
    images: int  # real images shown to the discriminator
    seconds: float  # inside training windows
    images_per_second: float

    @property
    def monitors(self) -> dict[str, float | None]:
        """What the loss reported for the epoch's last batch, such as real_score."""
        return self.__pydantic_extra__


class Window(Record):
    """A stretch of training timed as a whole, synchronised with the device only at its ends."""

    epoch: int
    images: int
    seconds: float


class Spread(Record):
    median: float
    p10: float
    p90: float


class Throughput(Record):
    images_per_second: Spread | None  # over windows; None when not one window was finished
    seconds_per_kimg: float | None
    windows: list[Window]
    warmup_seconds: float
    phases: dict[str, float]  # share of training time, by phase; they add up to 1


class Memory(Record):
    device_peak_bytes: int | None  # allocated by torch on the accelerator, None on a CPU
    host_peak_rss_bytes: int | None


class Point(Record):
    """A metric's value at one moment of training."""

    epoch: int
    images: int
    value: float


class MetricResult(Record):
    """A metric over the course of a run, and the full protocol behind each of its values."""

    name: str
    label: str
    value: float  # at the end
    better: Literal["lower", "higher"]
    best: Point
    curve: list[Point]
    floor: float  # the same metric of real images from the other split: what a perfect generator would get
    floor_samples: int
    stamp: dict[str, Any]


class PluginRecord(Record):
    kind: str
    name: str
    distribution: str
    version: str | None


class Environment(Record):
    """Where a run took place. Results whose `hard` parts differ are not comparable in speed."""

    hard: dict[str, Any]
    soft: dict[str, Any]


class DataRecord(Record):
    """Which data the run trained on."""

    source: str
    fingerprint: str
    train_images: int
    test_images: int
    notice: str | None


class Result(Record):
    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    created_at: datetime
    status: Status
    message: str | None = None  # why, when the status is not "completed"
    benchmark: str
    spec: dict[str, Any]
    spec_sha256: str
    plugins: list[PluginRecord]
    environment: Environment
    data: DataRecord
    history: list[EpochRow]
    throughput: Throughput
    memory: Memory
    metrics: list[MetricResult]
    artifacts: dict[str, str]  # name to path inside the run directory

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def load_result(path: Path) -> Result:
    """Read a run directory's result, or a result.json.

    Raises `MissingError` where there is none and `UsageError` for a file that is not a result of ours.
    """
    file = path / "result.json" if path.is_dir() else path
    try:
        return Result.model_validate_json(file.read_bytes())
    except OSError as error:
        raise MissingError(f"result {file}: cannot read it: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"result {file}: not a ganbench result of schema {SCHEMA_VERSION}: {where}: {first['msg']}"
        ) from None


class RunDirectory:
    """The folder of one run; every file in it appears whole or not at all."""

    def __init__(self, path: Path, run_id: str, created_at: datetime) -> None:
        self.path = path
        self.run_id = run_id
        self.created_at = created_at
        self.artifacts: dict[str, str] = {}

    @classmethod
    def create(cls, benchmark: str, out: Path | None) -> RunDirectory:
        """Make a new run directory: `out`, or runs/BENCHMARK/<UTC time>-<short id>.

        Raises `UsageError` if it cannot be written or already holds something.
        """
        created_at = datetime.now(UTC)
        run_id = f"{created_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        path = out or Path("runs") / benchmark / run_id
        cls.require_free(path)
        try:
            (path / "samples").mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"run directory {path}: cannot write there: {error.strerror}") from None
        return cls(path, run_id, created_at)

    @staticmethod
    def require_free(path: Path) -> None:
        """Raise `UsageError` if a run directory could not be made at `path`."""
        nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise UsageError(f"run directory {path}: cannot write to {nearest}")
        if path.exists() and any(path.iterdir()):
            raise UsageError(f"run directory {path}: it is not empty; choose another with --out")

    def file(self, name: str, artifact: str) -> Path:
        """The path of a file in the directory, listed in the result under `artifact`."""
        self.artifacts[artifact] = name
        return self.path / name

    def write_spec(self, toml: str) -> None:
        write_text(self.file("spec.toml", "spec"), toml)

    def write_history(self, history: list[EpochRow]) -> None:
        """Write history.csv: a row for each epoch, the monitors between losses and speed."""
        columns = ["epoch", "d_loss", "g_loss", *monitor_names(history), "images", "seconds", "images_per_second"]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.model_dump() for row in history)
        write_text(self.file("history.csv", "history"), text.getvalue())

    def write_result(self, result: Result) -> None:
        with written_whole(self.path / "result.json") as part:
            part.write_text(result.to_json(), encoding="utf-8")


def monitor_names(history: list[EpochRow]) -> list[str]:
    """The names of all monitors in the order in which they first appear."""
    return list(dict.fromkeys(name for row in history for name in row.monitors))
