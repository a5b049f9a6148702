"""CPU time lost to other processes, the hypervisor and container limits while training.

The counters exist only on Linux (man 5 proc, the kernel's admin-guide/cgroup-v2.rst); elsewhere nothing is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

from ganbench.results.throughput import CPUReading, CPUUse, Window

MIN_READING_SECONDS = 0.5  # minimum length of a reading: the kernel counts in ticks of 10 ms
MIN_TRAINING_SECONDS = 1.0  # minimum length of all readings together
DISTURBED_FRACTION = 0.05  # of the CPU time available to training; equals the gate's default margin for time
PROC = Path("/proc")
CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Counters:
    """The kernel's counters at one time, in seconds of CPU time."""

    at: float  # time on this process's clock
    busy: dict[int, float]  # by CPU: running any process
    stolen: dict[int, float]  # by CPU: given to another virtual machine by the hypervisor
    total: dict[int, float]  # by CPU: including idle time
    own: float  # this run: the process and its children, with all ranks on this machine
    throttled: float  # time in which threads of this process's cgroup were stopped at its CPU limit
    involuntary_switches: int


class CPUMonitor:
    """Reads the counters at both ends of windows. Those that are too short are combined, without the time between."""

    def __init__(self, local_ranks: int = 1) -> None:
        """`local_ranks` is the number of processes of this run on this machine, which have the same parent."""
        self._root = "self" if local_ranks == 1 else str(os.getppid())
        self._since: Counters | None = None
        self._paused: Counters | None = None  # at the end of a window that was too short

    def begin(self) -> None:
        """Start counting at the beginning of a window, or continue if the windows before it were too short."""
        now = read_counters(self._root)
        if self._since is None or self._paused is None or now is None:
            self._since = now
        else:
            self._since = without_pause(self._since, self._paused, now)
        self._paused = None

    def reading(self) -> CPUReading | None:
        """Return the usage at the end of a window; None if it is too short or the counters are unavailable."""
        since, now = self._since, read_counters(self._root)
        if since is None or now is None:
            return None
        if now.at - since.at < MIN_READING_SECONDS:
            self._paused = now
            return None
        return difference(since, now)


def read_counters(root: str = "self") -> Counters | None:
    """Return the current counters; None if they are unavailable. `root` is the process at the root of the run."""
    if sys.platform != "linux":
        return None
    import resource  # not available on Windows

    try:
        busy, stolen, total = cpu_seconds((PROC / "stat").read_text())
        own = resource.getrusage(resource.RUSAGE_SELF)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        alive = sum(process_seconds(child) for child in children(root) if child != str(os.getpid()))
        return Counters(
            at=perf_counter(),
            busy=busy,
            stolen=stolen,
            total=total,
            own=own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + alive,
            throttled=throttled_seconds(),
            involuntary_switches=own.ru_nivcsw,
        )
    except (OSError, ValueError, IndexError):
        return None  # a container may hide them


def without_pause(start: Counters, paused: Counters, resumed: Counters) -> Counters:
    """Return the counters as they would have been at the start if nothing had been counted during the pause."""

    def moved(name: str) -> Any:
        before, from_, to = (getattr(counters, name) for counters in (start, paused, resumed))
        if isinstance(to, dict):
            return {cpu: before.get(cpu, 0.0) + to[cpu] - from_.get(cpu, 0.0) for cpu in to}
        return before + to - from_

    return Counters(**{field.name: moved(field.name) for field in fields(Counters)})


def difference(since: Counters, now: Counters) -> CPUReading | None:
    """Return the usage between two times; None if the counters do not advance, as in some sandboxes."""
    seconds, cpus = now.at - since.at, usable_cpus()

    def counted(name: str) -> float:
        return sum(getattr(now, name).get(cpu, 0.0) - getattr(since, name).get(cpu, 0.0) for cpu in cpus)

    if counted("total") < 0.5 * len(cpus) * seconds:
        return None
    own = now.own - since.own
    return CPUReading(
        seconds=seconds,
        own_cpu_seconds=own,
        others_cpu_seconds=max(0.0, counted("busy") - own),
        stolen_cpu_seconds=counted("stolen"),
        throttled_cpu_seconds=now.throttled - since.throttled,
        involuntary_switches=now.involuntary_switches - since.involuntary_switches,
    )


def cpu_seconds(stat: str) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
    """Parse /proc/stat: return busy, stolen and total seconds by CPU."""
    hertz = os.sysconf("SC_CLK_TCK")
    busy, stolen, total = {}, {}, {}
    for line in stat.splitlines():
        name, *words = line.split()
        if not name.startswith("cpu"):
            break
        if name != "cpu":
            cpu = int(name.removeprefix("cpu"))
            user, nice, system, idle, iowait, irq, softirq, steal = (int(word) / hertz for word in words[:8])
            busy[cpu], stolen[cpu] = user + nice + system + irq + softirq, steal
            total[cpu] = busy[cpu] + stolen[cpu] + idle + iowait
    return busy, stolen, total


def children(process: str) -> Iterator[str]:
    """Yield the running descendants of a process."""
    for listed in (PROC / process / "task").glob("*/children"):
        for child in read_or_empty(listed).split():
            yield child
            yield from children(child)


def process_seconds(process: str) -> float:
    """Return the CPU time of a process and of its terminated children; 0 if it has terminated itself."""
    fields = read_or_empty(PROC / process / "stat").rpartition(")")[2].split()  # its name may contain spaces
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def throttled_seconds() -> float:
    """Return how long the CPU limit of this process's cgroup (version 2) has throttled it, in CPU seconds."""
    for line in read_or_empty(PROC / "self" / "cgroup").splitlines():
        if line.startswith("0::"):
            stat = read_or_empty(CGROUPS / line.removeprefix("0::").lstrip("/") / "cpu.stat")
            values = dict(entry.split() for entry in stat.splitlines())
            return int(values.get("throttled_usec", 0)) / 1e6
    return 0.0


def read_or_empty(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process or thread has terminated
        return ""


def usable_cpus() -> set[int]:
    """Return the CPUs available to any thread of this process: OpenMP can bind each thread to a different CPU."""
    cpus = os.sched_getaffinity(0)
    for thread in (PROC / "self" / "task").iterdir():
        try:
            cpus |= os.sched_getaffinity(int(thread.name))
        except OSError:  # the thread has terminated
            continue
    return cpus


def physical_cores(cpus: Iterable[int]) -> int:
    """Return the number of physical cores of these CPUs: hyper-threads share a core."""
    siblings = (read_or_empty(CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu) for cpu in cpus)
    return len(set(siblings))


def cpu_use(windows: Iterable[Window], threads: int) -> CPUUse | None:
    """Return the CPU usage over all windows of a training run; None without enough readings.

    `threads` are those of all ranks on this machine.
    """
    readings = [window.cpu for window in windows if window.cpu]
    seconds = sum(reading.seconds for reading in readings)
    if seconds < MIN_TRAINING_SECONDS:
        return None
    cores = physical_cores(usable_cpus())
    usable = min(threads, cores)
    others = sum(reading.others_cpu_seconds for reading in readings) / seconds
    stolen = sum(reading.stolen_cpu_seconds for reading in readings) / seconds
    throttled = sum(reading.throttled_cpu_seconds for reading in readings) / seconds
    crowded_out = max(0.0, usable + others + stolen - cores)
    return CPUUse(
        cores=cores,
        threads=threads,
        others_cores=others,
        stolen_cores=stolen,
        throttled_cores=throttled,
        involuntary_switches_per_second=sum(reading.involuntary_switches for reading in readings) / seconds,
        lost_share=min(1.0, (crowded_out + throttled) / usable),
    )


def describe_disturbance(use: CPUUse | None) -> str | None:
    """Return the causes of lost CPU time if it makes the measured speed unreliable, else None."""
    if use is None or use.lost_share < DISTURBED_FRACTION:
        return None
    causes = {
        "other processes used": use.others_cores,
        "the hypervisor withheld": use.stolen_cores,
        "the CPU limit of its container withheld": use.throttled_cores,
    }
    relevant = 0.1 * max(causes.values())
    shown = " and ".join(f"{cause} {cores:.2f}" for cause, cores in causes.items() if cores >= relevant)
    return f"{shown} of the {use.cores} CPU cores during training"
