"""How much of the CPUs a run did not get: other processes, the hypervisor and a container's limit take their share.

Linux alone has the counters (man 5 proc, the kernel's admin-guide/cgroup-v2.rst); elsewhere nothing is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ganbench.results.schema import CPUReading, CPUUse, Window

MIN_READING_SECONDS = 0.5  # of a reading: the kernel counts in ticks of 10 ms
MIN_TRAINING_SECONDS = 1.0  # of training to judge by
DISTURBED_FRACTION = 0.05  # of the CPU time that training could use: as much more time is a regression to the gate
PROC = Path("/proc")
CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Counters:
    """What the kernel had counted at one moment, in seconds of CPU time."""

    at: float  # on this process's clock
    busy: dict[int, float]  # by CPU: with any process
    stolen: dict[int, float]  # by CPU: wanted here and given to another machine
    total: dict[int, float]  # by CPU: idle time included
    own: float  # of this process and its children
    throttled: float  # in which a limit stopped threads of this process's cgroup
    involuntary_switches: int


class CPUMonitor:
    """Reads what others took at the ends of windows; what is shorter than a reading can be is read together."""

    def __init__(self) -> None:
        self._since: Counters | None = None

    def begin(self) -> None:
        """A window begins: count from now, unless the last reading has only just ended."""
        if self._since is None or perf_counter() - self._since.at > MIN_READING_SECONDS:
            self._since = read_counters()

    def reading(self) -> CPUReading | None:
        """What was counted since; None if that is too short a time, or the system does not count."""
        if self._since is None or perf_counter() - self._since.at < MIN_READING_SECONDS:
            return None
        since, self._since = self._since, read_counters()
        return None if self._since is None else difference(since, self._since)


def read_counters() -> Counters | None:
    """The counters now; None where there are none."""
    if sys.platform != "linux":
        return None
    import resource  # there is none on Windows

    try:
        busy, stolen, total = cpu_seconds((PROC / "stat").read_text())
        own = resource.getrusage(resource.RUSAGE_SELF)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        alive = sum(process_seconds(child) for child in children("self"))
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


def difference(since: Counters, now: Counters) -> CPUReading | None:
    """What was counted between two moments; None where the kernel's clocks stand still, as some sandboxes' do."""
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
    """Busy, stolen and all seconds of each CPU from the text of /proc/stat."""
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
    """The processes that a process has started and that are still there, and theirs."""
    for listed in (PROC / process / "task").glob("*/children"):
        for child in read_if_there(listed).split():
            yield child
            yield from children(child)


def process_seconds(process: str) -> float:
    """CPU time of a process and of those of its children that have ended; none if it has gone itself."""
    fields = read_if_there(PROC / process / "stat").rpartition(")")[2].split()  # its name may hold spaces
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def throttled_seconds() -> float:
    """In which this process's cgroup (version 2) was stopped at its CPU limit, summed over CPUs; 0 without a limit."""
    for line in read_if_there(PROC / "self" / "cgroup").splitlines():
        if line.startswith("0::"):
            stat = read_if_there(CGROUPS / line.removeprefix("0::").lstrip("/") / "cpu.stat")
            told = dict(entry.split() for entry in stat.splitlines())
            return int(told.get("throttled_usec", 0)) / 1e6
    return 0.0


def read_if_there(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # a process or a thread that has ended
        return ""


def usable_cpus() -> set[int]:
    """The CPUs that any thread of this process may run on: OpenMP can bind each thread to one of its own."""
    cpus = os.sched_getaffinity(0)
    for thread in (PROC / "self" / "task").iterdir():
        try:
            cpus |= os.sched_getaffinity(int(thread.name))
        except OSError:  # it has ended
            continue
    return cpus


def physical_cores(cpus: Iterable[int]) -> int:
    """How many cores so many CPUs are: those of one core share it."""
    siblings = (read_if_there(CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu) for cpu in cpus)
    return len(set(siblings))


def cpu_use(windows: Iterable[Window], threads: int) -> CPUUse | None:
    """What others took over all windows of a training by so many threads; None where too little was read."""
    readings = [window.cpu for window in windows if window.cpu]
    seconds = sum(reading.seconds for reading in readings)
    if seconds < MIN_TRAINING_SECONDS:
        return None
    cores = physical_cores(usable_cpus())
    wanted = min(threads, cores)
    others = sum(reading.others_cpu_seconds for reading in readings) / seconds
    stolen = sum(reading.stolen_cpu_seconds for reading in readings) / seconds
    throttled = sum(reading.throttled_cpu_seconds for reading in readings) / seconds
    crowded_out = max(0.0, wanted + others + stolen - cores)
    return CPUUse(
        cores=cores,
        threads=threads,
        others_cores=others,
        stolen_cores=stolen,
        throttled_cores=throttled,
        involuntary_switches_per_second=sum(reading.involuntary_switches for reading in readings) / seconds,
        lost_share=min(1.0, (crowded_out + throttled) / wanted),
    )


def describe_disturbance(use: CPUUse | None) -> str | None:
    """Who took so much of the CPUs that a speed says more of them than of the code; None if nobody did."""
    if use is None or use.lost_share < DISTURBED_FRACTION:
        return None
    takers = {
        "other processes used": use.others_cores,
        "the hypervisor withheld": use.stolen_cores,
        "the CPU limit of its container withheld": use.throttled_cores,
    }
    least = 0.1 * max(takers.values())
    told = " and ".join(f"{who} {cores:.2f}" for who, cores in takers.items() if cores >= least)
    return f"{told} of the {use.cores} CPU cores while it trained"
