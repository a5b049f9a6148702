"""How fast a run trained, how much memory that took, and what explains it: a part of result.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .record import Record


class GPUReading(Record):
    """NVML readings of a GPU for one window."""

    joules: float | None = Field(
        description="joules used by the whole board in the window; null if the GPU does not report it, for several "
        "devices, and for seeds that are trained at once"
    )
    sm_clock_mhz: int = Field(description="clock of the streaming multiprocessors at the end of the window, in MHz")
    throttled_by: list[str] = Field(
        description="why the clock was reduced at the end of the window, such as sw_power_cap; empty if it was not"
    )


class CPUReading(Record):
    """Linux counters over a window, for the CPUs available to the process."""

    seconds: float = Field(description="wall-clock seconds covered: one window, or several short ones")
    own_cpu_seconds: float = Field(description="CPU seconds used by the process and its children")
    others_cpu_seconds: float = Field(description="CPU seconds used by other processes")
    stolen_cpu_seconds: float = Field(description="CPU seconds given to other virtual machines by the hypervisor")
    throttled_cpu_seconds: float = Field(description="CPU seconds for which a container's limit stopped threads")
    involuntary_switches: int = Field(description="involuntary context switches of the process's threads")


class Window(Record):
    """A stretch of training timed as a whole, synchronized with the device only at its ends."""

    epoch: int = Field(description="number of the epoch; the first is 1")
    images: int = Field(description="real images shown to the discriminator in the window")
    seconds: float = Field(description="wall-clock seconds until the device was idle")
    dispatch_seconds: float = Field(
        description="wall-clock seconds until the host had launched all work: close to `seconds` if training waits for "
        "Python, far below if it waits for the device"
    )
    device_seconds: float | None = Field(description="seconds between CUDA events at both ends; null on a CPU")
    gpu: GPUReading | None = Field(
        None,
        description="energy, clock and throttling of the GPU; null on a CPU, or if the driver does not report them",
    )
    cpu: CPUReading | None = Field(
        None,
        description="what used the CPU; null if the system has no counters, or if the window is too short: a later "
        "reading then includes it",
    )
    complete: bool = Field(True, description="false if training ended within the window")


class Percentiles(Record):
    """Percentiles of a rate over windows, weighted by window duration."""

    median: float = Field(description="images/s; half of the time, training was slower")
    p10: float = Field(description="images/s; a tenth of the time, training was slower")
    p90: float = Field(description="images/s; nine tenths of the time, training was slower")


class CPUUse(Record):
    """CPU capacity unavailable to training, in cores, averaged over the time of all windows."""

    cores: int = Field(description="physical cores available to the process")
    threads: int = Field(description="torch's compute threads; 1 if training runs on a GPU")
    others_cores: float = Field(description="cores used by other processes")
    stolen_cores: float = Field(description="cores given to other virtual machines by the hypervisor")
    throttled_cores: float = Field(description="cores withheld by a container's CPU limit")
    involuntary_switches_per_second: float = Field(description="involuntary context switches of the process's threads")
    lost_share: float = Field(
        description="fraction of the cores usable by the training threads that they could not use, 0 to 1"
    )


class EngineRecord(Record):
    """How the training steps were executed."""

    name: Literal["eager", "cuda_graph"] = Field(description="the engine that executed them")
    requested: Literal["auto", "eager", "cuda_graph"] = Field(description="`engine.mode` of the spec")
    fallback_reason: str | None = Field(
        None, description="why auto did not use a CUDA graph; null if it did, and on a CPU"
    )
    verified_steps: int | None = Field(
        None, description="steps that both engines took before training, from the same state; null without a CUDA graph"
    )
    eager_nondeterminism: float | None = Field(
        None,
        description="0 if the results of both engines were bitwise identical, otherwise the largest relative "
        "difference between eager executions; null without a CUDA graph",
    )
    compile_seconds: float | None = Field(
        None, description="seconds of torch.compile in the warm-up; null if `engine.compile` is off"
    )


class ComponentThroughput(Record):
    """Throughput of each half of the work alone, measured in the warm-up."""

    data_only: float = Field(description="images/s of loading batches onto the device without training")
    compute_only: float = Field(description="images/s of training repeatedly on one batch")


class Roofline(Record):
    """Work per step and peak rates of the device (Williams, Waterman, Patterson 2009, doi:10.1145/1498765)."""

    flops_per_image: float = Field(
        description="floating-point operations of an eager step per image, from torch's FLOP counter"
    )
    state_bytes_per_step: int = Field(
        description="bytes of weights, gradients and optimizer state that a step moves, each read and written once"
    )
    matmul_flops_per_second: float = Field(
        description="rate of a large matrix product in the run's precision, measured in the run"
    )
    copy_bytes_per_second: float = Field(
        description="bytes read plus bytes written per second by a large copy on the device, measured in the run"
    )
    unreliable: str | None = Field(
        None, description="why the bound is not valid: training was faster, or disturbed; null if it is valid"
    )

    def min_step_seconds(self, batch_size: int) -> float:
        """Return the lower bound on step time: the longer of arithmetic and state traffic at the peak rates."""
        arithmetic = self.flops_per_image * batch_size / self.matmul_flops_per_second
        return max(arithmetic, self.state_bytes_per_step / self.copy_bytes_per_second)

    def utilization(self, images_per_second: float) -> float:
        """Return model FLOP utilization: the fraction of the matrix product's rate that training reaches."""
        return images_per_second * self.flops_per_image / self.matmul_flops_per_second


def rate_text(images_per_second: float) -> str:
    """Format images/s as a whole number, or with three significant digits below 100."""
    return f"{images_per_second:,.0f}" if images_per_second >= 99.95 else f"{images_per_second:#.3g}"


class Throughput(Record):
    """The speed of training, with what may explain it."""

    images_per_second: Percentiles | None = Field(
        description="real images shown to the discriminator per second, over all windows; null if there are none"
    )
    seconds_per_kimg: float | None = Field(
        description="total seconds of all windows per 1,000 images, the inverse of the images/s in tables; null "
        "without windows"
    )
    windows: list[Window] = Field(description="all windows, in order")
    cpu: CPUUse | None = Field(
        None,
        description="what else used the CPU; null on systems other than Linux, and with less than 1 s of training",
    )
    disturbed: bool = Field(
        False,
        description="whether the speed is unreliable: `cpu.lost_share` is 5% or more, or other runs shared the "
        "machine: those of a suite, or other seeds that were trained at once",
    )
    disturbed_by: str | None = Field(None, description="what disturbed it, and by how much; null if nothing did")
    warmup_seconds: float = Field(description="seconds of the warm-up, which windows exclude")
    evaluation_seconds: float = Field(description="seconds of all scores and sample images, which windows exclude")
    phases: dict[str, float] = Field(
        description="fraction of training time for data, discriminator and generator, 0 to 1; empty without training"
    )
    component_throughput: ComponentThroughput | None = Field(
        description="speed of each half of the work alone; null if the run ended before it was measured"
    )
    roofline: Roofline | None = Field(
        description="the lower bound on the time of a step; null if the run ended before it was measured, or if there "
        "was too little memory"
    )
    joules_per_image: float | None = Field(
        description="joules used by the whole board per image, over all windows; null without a GPU that reports "
        "it, for several devices, and for seeds that are trained at once"
    )
    engine: EngineRecord | None = Field(
        description="how steps were executed; null if the run ended before the first one"
    )
    conditions: dict[str, Any] = Field(
        description="what must be equal to compare speed: device, threads and how they wait, precision, engine, "
        "compilation, memory format, dropout, place of the data (`resident` on the device or `streamed` to it), batch "
        "size, and number of processes if there are several; empty without training"
    )

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
    """The most memory that training used."""

    device_peak_bytes: int | None = Field(
        description="peak memory allocated by torch on the GPU within training windows, including CUDA graphs; null on "
        "a CPU, and for seeds that are trained at once"
    )
    host_peak_rss_bytes: int | None = Field(
        description="peak resident memory of the process, from the start of the run to the end of training; null if "
        "the system does not report it, without training, and for seeds that are trained at once"
    )
