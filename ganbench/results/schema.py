"""The schema of result.json."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ganbench.errors import MissingError, UsageError

SCHEMA_VERSION: Literal[3] = 3
Status = Literal["completed", "interrupted", "diverged", "failed"]


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class EpochRow(BaseModel):
    """One epoch of training, or the part of one at the end. The loss's monitors are further keys of the row."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
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


def monitor_names(history: list[EpochRow]) -> list[str]:
    """The names of all monitors in the order in which they first appear."""
    return list(dict.fromkeys(name for row in history for name in row.monitors))


class GPUReading(Record):
    """What NVML tells of a GPU at the end of a window."""

    joules: float | None  # drawn by the whole board in the window
    sm_clock_mhz: int
    throttled_by: list[str]  # why the clock is not at its highest, such as sw_power_cap


class CPUReading(Record):
    """What Linux counted, around a window, on the CPUs that the process may use."""

    seconds: float  # that it spans: the window, or several short ones together
    own_cpu_seconds: float  # of the process and its children
    others_cpu_seconds: float  # of other processes
    stolen_cpu_seconds: float  # that a hypervisor gave to other machines
    throttled_cpu_seconds: float  # in which the CPU limit of a container stopped threads
    involuntary_switches: int  # times that a thread had to leave its CPU to another


class Window(Record):
    """A stretch of training timed as a whole, synchronised with the device only at its ends."""

    epoch: int
    images: int
    seconds: float  # on the wall clock, until the device had nothing left to do
    dispatch_seconds: float  # until the host had handed over all the work
    device_seconds: float | None  # from first to last on the device's own clock; None on a CPU
    gpu: GPUReading | None = None
    cpu: CPUReading | None = None  # None where the system does not count, and where it came too soon after another
    complete: bool = True  # False where the training ended within it


class Percentiles(Record):
    """Percentiles of a rate, each window weighing as much as the time that it took."""

    median: float
    p10: float
    p90: float


class CPUUse(Record):
    """How much of the CPUs training did not get, over all windows; in cores, as an average over the time."""

    cores: int  # physical ones that the process may use
    threads: int  # that training computes with
    others_cores: float  # busy with other processes
    stolen_cores: float  # given to other machines by a hypervisor
    throttled_cores: float  # withheld by the CPU limit of a container
    involuntary_switches_per_second: float
    lost_share: float  # of the cores that its threads could have used


class EngineRecord(Record):
    """How the steps were driven."""

    name: Literal["eager", "cuda_graph"]
    requested: Literal["auto", "eager", "cuda_graph"]
    fallback_reason: str | None = None  # why auto could not take the graph
    verified_steps: int | None = None  # taken by both engines before training, from the same state
    eager_nondeterminism: float | None = (
        None  # 0: they agreed in every bit; else how far eager was from itself, relatively
    )
    compile_seconds: float | None = None  # that torch.compile took within the warm-up; None where it was not asked for


class ComponentThroughput(Record):
    """Images a second when one half of the work is done without the other, measured in the warm-up."""

    data_only: float  # batches are drawn and brought to the device, and nobody learns
    compute_only: float  # one batch is learnt from again and again


class Roofline(Record):
    """What a step must cost, and what the device can do (Williams, Waterman, Patterson 2009, doi:10.1145/1498765)."""

    flops_per_image: float  # floating-point operations of an eager step, by torch's counter
    state_bytes_per_step: int  # weights, gradients and optimiser state, each read once and written once
    matmul_flops_per_second: float  # a large matrix product in the run's precision, in the same run
    copy_bytes_per_second: float  # a large copy on the device, read plus written, in the same run
    unreliable: str | None = None  # why no bound may be drawn from them: training was faster, or the CPUs were busy

    def min_step_seconds(self, batch_size: int) -> float:
        """No step of so many images can be quicker: its arithmetic or its state's traffic at the device's best."""
        arithmetic = self.flops_per_image * batch_size / self.matmul_flops_per_second
        return max(arithmetic, self.state_bytes_per_step / self.copy_bytes_per_second)

    def utilization(self, images_per_second: float) -> float:
        """The share of the matrix product's rate that training reaches (model FLOP utilization)."""
        return images_per_second * self.flops_per_image / self.matmul_flops_per_second


class Throughput(Record):
    images_per_second: Percentiles | None  # over all windows; None when there is none
    seconds_per_kimg: float | None  # all seconds over all images
    windows: list[Window]
    cpu: CPUUse | None = None  # None where the system does not count, or training was too short
    disturbed: bool = False  # others took so much of the CPUs that the speed says more of them than of the code
    disturbed_by: str | None = None  # who took how much
    warmup_seconds: float
    evaluation_seconds: float  # of all scores and pictures together
    phases: dict[str, float]  # share of training time, by phase
    component_throughput: (
        ComponentThroughput | None
    )  # None where the run failed before it was measured; so for the next
    roofline: Roofline | None
    joules_per_image: float | None  # over all windows; None without a GPU that tells
    engine: EngineRecord | None
    conditions: dict[str, Any]  # device, precision, engine, where the data lived, batch size

    @property
    def mean_images_per_second(self) -> float | None:
        """All images over all seconds."""
        return 1000 / self.seconds_per_kimg if self.seconds_per_kimg else None


class Memory(Record):
    device_peak_bytes: int | None  # allocated by torch on the accelerator inside training windows; None on a CPU
    host_peak_rss_bytes: int | None  # of the process from its start to the end of training


class MetricPoint(Record):
    """A metric's value at one moment of training."""

    epoch: float  # passes over the train split so far
    images: int
    value: float | None  # None where it is not finite


class MetricResult(Record):
    """A metric over the course of a run, and the full protocol behind each of its values."""

    id: str  # unique in the run
    name: str
    label: str
    value: float | None  # at the end of training; None where the run did not get to it
    better: Literal["lower", "higher"]
    best: MetricPoint | None
    curve: list[MetricPoint]
    real_data_score: (
        float | None
    )  # the same metric of real images from the other split: what a perfect generator would get
    real_data_samples: int
    protocol: dict[str, Any]  # how it is measured and on what: scores of different protocols are never ranked together
    software: dict[str, str]  # versions of libraries and plugins, with hashes of the plugins' source
    warnings: list[str] = []  # why the values may mislead


def metric_titles(metrics: Iterable[Any]) -> dict[str, str]:
    """What to call each metric in tables, by its id: its label, with the id where others have the same label."""
    listed = list(metrics)
    labels = [metric.label for metric in listed]
    return {
        metric.id: metric.label if labels.count(metric.label) == 1 else f"{metric.label} [{metric.id}]"
        for metric in listed
    }


class PluginRecord(Record):
    kind: str
    name: str
    distribution: str
    version: str | None
    source: str | None = None  # a hash of its code; None in results from before it was recorded

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (source {self.source})"


def providers(plugins: Iterable[PluginRecord]) -> dict[str, str]:
    """Who provides each plugin, by kind and name."""
    return {f"{plugin.kind} {plugin.name}": str(plugin) for plugin in plugins}


class Environment(Record):
    """Where a run took place. Results whose `hard` parts differ are not comparable in speed."""

    must_match: dict[str, Any]
    may_differ: dict[str, Any]


class DataRecord(Record):
    """Which data the run trained on."""

    source: str
    fingerprint: str  # as the data set's plugin declares it
    content_sha256: str  # of the decoded images and labels
    content_basis: str  # which of them the hash covers: "all images", or a sample where there are too many
    train_images: int
    test_images: int
    notice: str | None


class ProfiledKernel(Record):
    """An operation of a profiled step: a kernel on a GPU, an operator of torch on a CPU."""

    name: str
    phase: str
    calls_per_step: float
    seconds_per_step: float


class Profile(Record):
    """Where the time of a step goes, from some steps under torch's profiler, which slows them."""

    steps: int
    phases: dict[str, float]  # seconds a step in kernels, by phase
    kernels: list[ProfiledKernel]  # the longest first


class Result(Record):
    schema_version: Literal[3] = SCHEMA_VERSION
    run_id: str
    created_at: datetime
    status: Status
    message: str | None = None  # what ended the run, when it was not the end of its schedule
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
    profile: Profile | None = None
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
