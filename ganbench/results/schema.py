"""The schema of result.json."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ganbench.errors import MissingError, UsageError
from ganbench.system.files import StrPath

from .record import Finite, explain_invalid
from .record import Record as Record
from .target import TargetResult
from .views import ResultViews

SCHEMA_VERSION: Literal[3] = 3
# fields of a spec that do not affect the results of a run
NON_TRAINING_FIELDS = ("name", "summary", "references", "gate", "checkpoint")
Status = Literal["completed", "interrupted", "diverged", "failed"]


class EpochRow(BaseModel):
    """One epoch of training, possibly cut short at the end. The loss's monitors are additional keys of the row."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, float | None]

    epoch: int
    d_loss: float | None  # mean over the epoch's steps; None if not finite
    g_loss: float | None
    images: int  # real images shown to the discriminator
    seconds: float  # within training windows
    images_per_second: float

    @property
    def monitors(self) -> dict[str, float | None]:
        """Values that the loss reported for the epoch's last batch, such as real_score."""
        return self.__pydantic_extra__


def monitor_names(history: list[EpochRow]) -> list[str]:
    """Return the names of all monitors in order of first appearance."""
    return list(dict.fromkeys(name for row in history for name in row.monitors))


class GPUReading(Record):
    """NVML readings of a GPU at the end of a window."""

    joules: float | None  # energy used by the whole board in the window
    sm_clock_mhz: int
    throttled_by: list[str]  # reasons for a reduced clock, such as sw_power_cap


class CPUReading(Record):
    """Linux counters over a window, for the CPUs available to the process."""

    seconds: float  # time covered: one window, or several short ones
    own_cpu_seconds: float  # used by the process and its children
    others_cpu_seconds: float  # used by other processes
    stolen_cpu_seconds: float  # given to other virtual machines by the hypervisor
    throttled_cpu_seconds: float  # during which a container's CPU limit stopped threads
    involuntary_switches: int  # involuntary context switches of the process's threads


class Window(Record):
    """A stretch of training timed as a whole, synchronized with the device only at its ends."""

    epoch: int
    images: int
    seconds: float  # wall-clock time, until the device was idle
    dispatch_seconds: float  # wall-clock time until the host had launched all work
    device_seconds: float | None  # between CUDA events at both ends; None on a CPU
    gpu: GPUReading | None = None
    cpu: CPUReading | None = None  # None if the system has no counters, or too soon after another reading
    complete: bool = True  # False if training ended within the window


class Percentiles(Record):
    """Percentiles of a rate over windows, weighted by window duration."""

    median: float
    p10: float
    p90: float


class CPUUse(Record):
    """CPU capacity unavailable to training, in cores, averaged over the time of all windows."""

    cores: int  # physical cores available to the process
    threads: int  # number of torch's compute threads
    others_cores: float  # used by other processes
    stolen_cores: float  # given to other virtual machines by the hypervisor
    throttled_cores: float  # withheld by a container's CPU limit
    involuntary_switches_per_second: float
    lost_share: float  # fraction of the cores that the training threads could have used


class EngineRecord(Record):
    """How the training steps were executed."""

    name: Literal["eager", "cuda_graph"]
    requested: Literal["auto", "eager", "cuda_graph"]
    fallback_reason: str | None = None  # why auto did not use the CUDA graph
    verified_steps: int | None = None  # steps that both engines ran before training, from the same state
    # 0 if both engines were bitwise identical, else the relative difference between two eager executions
    eager_nondeterminism: float | None = None
    compile_seconds: float | None = None  # spent by torch.compile in the warm-up; None if it was not enabled


class ComponentThroughput(Record):
    """Throughput in images/s of each half of the work alone, measured in the warm-up."""

    data_only: float  # loads batches onto the device without training
    compute_only: float  # trains repeatedly on one batch


class Roofline(Record):
    """Work per step and peak rates of the device (Williams, Waterman, Patterson 2009, doi:10.1145/1498765)."""

    flops_per_image: float  # floating-point operations of an eager step, from torch's FLOP counter
    state_bytes_per_step: int  # weights, gradients and optimizer state, each read and written once
    matmul_flops_per_second: float  # rate of a large matrix product in the run's precision, measured in the run
    copy_bytes_per_second: float  # bytes read plus written by a large device copy, measured in the run
    unreliable: str | None = None  # why it bounds nothing: training was faster, or the CPUs were busy

    def min_step_seconds(self, batch_size: int) -> float:
        """Return the lower bound on step time: the longer of arithmetic and state traffic at the peak rates."""
        arithmetic = self.flops_per_image * batch_size / self.matmul_flops_per_second
        return max(arithmetic, self.state_bytes_per_step / self.copy_bytes_per_second)

    def utilization(self, images_per_second: float) -> float:
        """Return model FLOP utilization: the fraction of the matrix product's rate that training reaches."""
        return images_per_second * self.flops_per_image / self.matmul_flops_per_second


class Throughput(Record):
    images_per_second: Percentiles | None  # over all windows; None if there are none
    seconds_per_kimg: float | None  # total seconds per total thousands of images
    windows: list[Window]
    cpu: CPUUse | None = None  # None if the system has no counters, or training was too short
    disturbed: bool = False  # other processes used so much CPU time that the speed is unreliable
    disturbed_by: str | None = None  # which processes used how much
    warmup_seconds: float
    evaluation_seconds: float  # for all scores and sample images
    phases: dict[str, float]  # fraction of training time per phase
    component_throughput: ComponentThroughput | None  # None, like roofline, if the run failed before measuring it
    roofline: Roofline | None
    joules_per_image: float | None  # over all windows; None without a GPU that reports energy
    engine: EngineRecord | None
    conditions: dict[str, Any]  # device, precision, engine, data location, batch size

    @classmethod
    def without_training(cls) -> Throughput:
        """Return the record of a result for which nothing was trained."""
        return cls(
            images_per_second=None,
            seconds_per_kimg=None,
            windows=[],
            warmup_seconds=0.0,
            evaluation_seconds=0.0,
            phases={},
            component_throughput=None,
            roofline=None,
            joules_per_image=None,
            engine=None,
            conditions={},
        )

    @property
    def processes(self) -> int:
        """The number of processes over which the run was split."""
        return int(self.conditions.get("processes", 1))

    @property
    def mean_images_per_second(self) -> float | None:
        """Total images per total seconds."""
        return 1000 / self.seconds_per_kimg if self.seconds_per_kimg else None


class Memory(Record):
    device_peak_bytes: int | None  # allocated by torch on the accelerator inside training windows; None on a CPU
    host_peak_rss_bytes: int | None  # of the process, from its start to the end of training


class MetricPoint(Record):
    """A metric's value at one point in training."""

    epoch: float  # passes over the training split so far
    images: int
    value: Finite  # None if not finite


class MetricResult(Record):
    """A metric over a run, with the full protocol behind its values."""

    id: str  # unique in the run
    name: str
    label: str
    value: Finite  # at the end of training; None if it is not finite, or if the run did not reach it
    higher_is_better: bool
    best: MetricPoint | None
    curve: list[MetricPoint]
    real_data_score: Finite  # of real images from the other split: the score of a perfect generator
    real_data_samples: int
    # how and on what it is measured: scores with different protocols are never ranked together
    protocol: dict[str, Any]
    software: dict[str, str]  # versions of libraries and plugins, with hashes of the plugins' source
    warnings: list[str] = []  # why the values may be misleading

    @property
    def why_missing(self) -> str:
        """Why `value` is None: "not finite", or "not reached" if training continued after the last score."""
        return "not finite" if self.curve and self.curve[-1].value is None else "not reached"


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

    label: str
    metric: str  # id of the metric
    value: float  # as published
    deviation: float | None  # as published
    band: float
    source: str
    note: str | None
    measured: float | None  # the run's final score
    verdict: Literal["within", "outside", "not comparable"]
    differences: list[str]  # why it is not comparable


class PluginRecord(Record):
    kind: str
    name: str
    distribution: str
    version: str | None
    source: str | None = None  # hash of its code; None in results written before it was recorded

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (source {self.source})"


def providers(plugins: Iterable[PluginRecord]) -> dict[str, str]:
    """Return the provider of each plugin, keyed by kind and name."""
    return {f"{plugin.kind} {plugin.name}": str(plugin) for plugin in plugins}


class Environment(Record):
    """Where a run took place. Speeds are comparable only if all `must_match` fields are equal."""

    must_match: dict[str, Any]
    may_differ: dict[str, Any]


class DataRecord(Record):
    """The data that the run trained on, or that images were compared with."""

    source: str
    fingerprint: str  # declared by the dataset plugin
    content_sha256: str  # hash of the decoded images and labels
    content_basis: str  # what the hash covers: "all images", or a sample if there are too many
    train_images: int
    test_images: int
    notice: str | None
    # None in results written before they were recorded
    data_shape: tuple[int, ...] | None = None  # (channels, height, width), or (features,) for vectors
    num_classes: int | None = None
    label_counts: tuple[int, ...] | None = None  # train images of each class; None also if the dataset does not say


class ProfiledKernel(Record):
    """An operation in a profiled step: a kernel on a GPU, a torch operator on a CPU."""

    name: str
    phase: str
    calls_per_step: float
    seconds_per_step: float


class Profile(Record):
    """Time per step by operation, from some steps under torch's profiler, which slows them down."""

    steps: int
    phases: dict[str, float]  # kernel seconds per step, by phase
    kernels: list[ProfiledKernel]  # longest first


class Result(ResultViews, Record):
    """The content of result.json."""

    schema_version: Literal[3] = SCHEMA_VERSION
    run_id: str
    created_at: datetime
    status: Status
    message: str | None = None  # why the run ended before the end of its schedule
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
    targets: list[TargetResult] = []
    references: list[ReferenceResult] = []
    profile: Profile | None = None
    artifacts: dict[str, str]  # artifact name to path within the run directory

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def result_schema() -> dict[str, Any]:
    """Return the JSON schema of result.json as this version writes it: every field is required."""
    return {**Result.model_json_schema(mode="serialization"), "title": "ganbench result"}


def load_result(path: StrPath) -> Result:
    """Load a result from a run directory or a result.json file.

    Raises `MissingError` if there is none and `UsageError` if the file is not a valid result.
    """
    file = Path(path) / "result.json" if Path(path).is_dir() else Path(path)
    try:
        return Result.model_validate_json(file.read_bytes())
    except OSError as error:
        if isinstance(error, FileNotFoundError) and (file.parent / "spec.toml").is_file():
            raise MissingError(
                f"run directory {file.parent}: no {file.name}, because the run was killed or is not over; continue it "
                f"with --resume {file.parent}"
            ) from None
        raise MissingError(f"result {file}: cannot read it: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError(f"result {file}: {explain_invalid(error, SCHEMA_VERSION)}") from None
