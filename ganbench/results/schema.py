"""The schema of result.json."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganbench.errors import MissingError, UsageError
from ganbench.system.files import StrPath, as_path, is_dir

from .layout import RESULT, SPEC
from .record import Finite, unreadable
from .record import Record as Record
from .target import TargetResult
from .throughput import Memory, Throughput
from .views import ResultViews

SCHEMA_VERSION: Literal[3] = 3
# fields of a spec that do not affect the results of a run
NON_TRAINING_FIELDS = ("name", "summary", "references", "gate", "checkpoint")
LOSS_COLUMNS = {"d_loss": "discriminator", "g_loss": "generator"}  # of the history, with the network of each loss
Status = Literal["completed", "interrupted", "diverged", "failed"]


class EpochRow(BaseModel):
    """One epoch of training, possibly cut short at the end.

    The loss's monitors are additional keys: their values for the epoch's last batch, null if not finite.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, float | None]

    epoch: int = Field(description="number of the epoch; the first is 1")
    d_loss: float | None = Field(
        description="the discriminator's loss, mean over the epoch's steps; null if not finite"
    )
    g_loss: float | None = Field(description="the generator's loss, mean over the epoch's steps; null if not finite")
    images: int = Field(description="real images shown to the discriminator in the epoch")
    seconds: float = Field(description="seconds of the epoch's windows")
    images_per_second: float = Field(description="images per second of the epoch's windows")

    @property
    def monitors(self) -> dict[str, float | None]:
        """Values that the loss reported for the epoch's last batch, such as real_score."""
        return self.__pydantic_extra__

    @property
    def losses(self) -> dict[str, float | None]:
        """Both losses and the monitors, by column of the history."""
        return {"d_loss": self.d_loss, "g_loss": self.g_loss, **self.monitors}


def monitor_names(history: list[EpochRow]) -> list[str]:
    """Return the names of all monitors in order of first appearance."""
    return list(dict.fromkeys(name for row in history for name in row.monitors))


def epochs_text(epochs: float) -> str:
    """Return a number of epochs as tables show it: 0.5, 13.333, 1,030."""
    return f"{epochs:,.0f}" if epochs >= 1e4 else f"{epochs:,.5g}"


class MetricPoint(Record):
    """A metric's value at one point in training."""

    epoch: float = Field(description="passes over the training split so far; 0 is before training")
    images: int = Field(description="real images shown to the discriminator so far")
    value: Finite = Field(description="the score; null if not finite")


class MetricResult(Record):
    """A metric over a run, with the full protocol behind its values."""

    id: str = Field(description="unique in the run, such as fid or, for a metric with several values, kid.mean")
    name: str = Field(description="name of the metric's plugin, as in the spec")
    label: str = Field(description="title in tables, with the feature extractor, such as FID (inception-v3)")
    value: Finite = Field(
        description="the score at the end of training; null if the run did not reach it, or if not finite"
    )
    higher_is_better: bool | None = Field(
        description="whether higher scores are better; null for a value that is never ranked, such as a standard "
        "deviation"
    )
    best: MetricPoint | None = Field(
        description="the first of the best scores of the run; null if none is finite, or if it is never ranked"
    )
    curve: list[MetricPoint] = Field(description="all scores of the run, in order")
    real_data_score: Finite = Field(
        description="the score of real images from the other split, about that of a perfect generator if equally "
        "many images are generated; null if no other split differs and is large enough, and for metrics of networks"
    )
    real_data_samples: int = Field(description="real images in `real_data_score`; 0 if it was not computed")
    protocol: dict[str, Any] = Field(
        description="how and on what the score is measured: scores with different protocols are never ranked together"
    )
    software: dict[str, str] = Field(
        description="versions of libraries and plugins, with hashes of the plugins' source"
    )
    warnings: list[str] = Field([], description="why the values may be misleading; empty if nothing is known")


def metric_titles(metrics: Iterable[Any]) -> dict[str, str]:
    """Return each metric's title in tables, keyed by id: its label, followed by the id if the label is ambiguous."""
    metrics = list(metrics)
    labels = [metric.label for metric in metrics]
    return {
        metric.id: metric.label if labels.count(metric.label) == 1 else f"{metric.label} [{metric.id}]"
        for metric in metrics
    }


class ReferenceResult(Record):
    """A published score from the benchmark's `references`, and whether the run reproduces it."""

    label: str = Field(description="short name of the publication")
    metric: str = Field(description="`id` of the score in `metrics`")
    value: float = Field(description="the published score")
    std: float | None = Field(description="its published standard deviation; null if the spec has none")
    band: float = Field(description="largest distance from `value` that reproduces it, in the unit of the score")
    source: str = Field(description="where it is published: a URL, a DOI or a citation")
    note: str | None = Field(description="remaining differences from the publication; null if the spec names none")
    measured: float | None = Field(description="the run's final score; null if it has none, or if not finite")
    verdict: Literal["within", "outside", "not comparable"] = Field(
        description="whether `measured` is within `band` of `value`"
    )
    differences: list[str] = Field(description="why it is not comparable; empty if it is")


class PluginRecord(Record):
    """A plugin that the run used."""

    kind: str = Field(description="kind of plugin, such as model or metric")
    name: str = Field(description="name of the plugin")
    distribution: str = Field(
        description="Python package that provides it, or the name of the file or module given with -p"
    )
    version: str | None = Field(
        description="version of the package, or a hash of the file; null for a module given with -p"
    )
    source: str | None = Field(
        None, description="hash of the plugin's code; null in results written before it was recorded"
    )

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (source {self.source})"


def providers(plugins: Iterable[PluginRecord]) -> dict[str, str]:
    """Return the provider of each plugin, keyed by kind and name."""
    return {f"{plugin.kind} {plugin.name}": str(plugin) for plugin in plugins}


class Environment(Record):
    """Where a run took place. Speeds are comparable only if all `must_match` fields are equal."""

    must_match: dict[str, Any] = Field(
        description="device, number of devices, memory of the GPU in bytes, and threads on a CPU"
    )
    may_differ: dict[str, Any] = Field(
        description="what may affect speed: CPU, platform, and versions of Python, CUDA and libraries"
    )


class DataRecord(Record):
    """The data that the run trained on, or that images were compared with."""

    source: str = Field(description="where the data came from, in the words of the dataset plugin")
    fingerprint: str = Field(description="identity of the data as declared by the dataset plugin")
    content_sha256: str = Field(description="SHA-256 of the decoded images and labels of both splits")
    content_basis: str = Field(description="images that the hash covers: all images, or a sample if there are too many")
    train_images: int = Field(description="images in the train split")
    test_images: int = Field(description="images in the test split; 0 if there is none")
    notice: str | None = Field(
        description="a caveat from the dataset plugin, such as that an embedded subset replaced missing data; null if "
        "there is none"
    )
    data_shape: tuple[int, ...] | None = Field(
        None,
        description="(channels, height, width), or (features,) for vectors; null in results written before it was "
        "recorded",
    )
    num_classes: int | None = Field(
        None, description="number of classes of the labels; null in results written before it was recorded"
    )
    label_counts: tuple[int, ...] | None = Field(
        None, description="train images of each class; null if the dataset does not say"
    )
    random_splits: list[str] = Field([], description="splits whose images change at random each time they are read")
    warnings: list[str] = Field([], description="what may be wrong with the images; empty if nothing is known")


class ProfiledKernel(Record):
    """An operation in a profiled step: a kernel on a GPU, a torch operator on a CPU."""

    name: str = Field(description="name of the kernel or operator")
    phase: str = Field(description="phase of the step: data, discriminator or generator")
    calls_per_step: float = Field(description="calls per step, mean over the steps of the run")
    seconds_per_step: float = Field(
        description="seconds per step, mean over the steps of the run; without the operators that it calls"
    )


class Profile(Record):
    """Time per step by operation, from some steps under torch's profiler, which slows them down."""

    steps: int = Field(description="number of profiled steps")
    phases: dict[str, float] = Field(description="seconds of all kernels per step, by phase")
    kernels: list[ProfiledKernel] = Field(description="all kernels, the longest first")


class Result(ResultViews, Record):
    """The content of result.json."""

    schema_version: Literal[3] = Field(SCHEMA_VERSION, description="version of this format")
    run_id: str = Field(description="unique name of the run: the UTC time of its start, and six random characters")
    created_at: datetime = Field(description="start of the run, ISO 8601, in UTC")
    status: Status = Field(
        description="how the run ended: diverged if a loss or a weight is not finite, or the absolute value of a loss "
        "exceeds 1e9"
    )
    message: str | None = Field(
        None, description="why training ended before the end of its schedule, or `evaluation only`; null if it did not"
    )
    benchmark: str = Field(
        description="name of the benchmark; for an evaluation, of the images or of the run's benchmark"
    )
    spec: dict[str, Any] = Field(description="the resolved spec, as in spec.toml; unset fields are left out")
    spec_sha256: str = Field(description="SHA-256 of the spec; equal for specs that train and score identically")
    plugins: list[PluginRecord] = Field(description="all plugins that were used")
    environment: Environment = Field(description="where the run took place")
    data: DataRecord = Field(description="the data that the run trained on, or that images were compared with")
    history: list[EpochRow] = Field(description="one row per epoch, as in history.csv; empty without training")
    throughput: Throughput = Field(description="the speed of training")
    memory: Memory = Field(description="the most memory that training used")
    metrics: list[MetricResult] = Field(description="one entry for each value of each metric that was computed")
    targets: list[TargetResult] = Field([], description="how much training each target of the spec took")
    references: list[ReferenceResult] = Field(
        [], description="the published scores in the spec, and whether the run reproduces them"
    )
    profile: Profile | None = Field(None, description="time per step by kernel; null without --profile")
    artifacts: dict[str, str] = Field(
        description="the other files in the run directory: paths relative to it, by purpose"
    )

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def result_schema() -> dict[str, Any]:
    """Return the JSON schema of result.json as this version writes it: every field is required."""
    return {**Result.model_json_schema(mode="serialization"), "title": "ganbench result"}


def load_result(path: StrPath) -> Result:
    """Load a result from a run directory or a result.json file.

    Raises `MissingError` if there is none and `UsageError` if the file cannot be read or is not a valid result.
    """
    given = as_path("load_result", path)
    file = given / RESULT if is_dir(given) else given
    try:
        return Result.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        if (file.parent / SPEC).is_file():
            raise MissingError(
                f"run directory {file.parent}: no {file.name}, because the run was killed or is still running; "
                f"if it was killed, resume it with --resume {file.parent}"
            ) from None
        raise MissingError(f"result {file}: cannot read it: {error.strerror}") from None
    except OSError as error:
        raise UsageError(f"result {file}: cannot read it: {error.strerror}") from None
    except ValidationError as error:
        otherwise, remedy = f"not a ganbench result of schema {SCHEMA_VERSION}", "repeat the run"
        if error.errors()[0]["type"] == "json_invalid":
            otherwise, remedy = "corrupt, or not a result", "restore it, or resume the run, which writes it again"
        raise unreadable(f"result {file}", error, remedy, otherwise) from None
