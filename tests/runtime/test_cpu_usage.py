"""CPU time used by others: readings and conclusions."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest

from ganbench.results.throughput import CPUReading, Window
from ganbench.runtime import cpu_usage
from ganbench.runtime.cpu_usage import (
    Counters,
    CPUMonitor,
    cpu_use,
    describe_disturbance,
    difference,
    read_counters,
)

HERTZ = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
NOTHING = Counters(
    at=0.0, busy={0: 0.0, 1: 0.0}, stolen={0: 0.0, 1: 0.0}, total={0: 0.0, 1: 0.0}, own=0.0, throttled=0.0,
    involuntary_switches=0,
)  # fmt: skip
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the counters")


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_usage, "usable_cpus", lambda: {0, 1})
    monkeypatch.setattr(cpu_usage, "physical_cores", len)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PROC", "CPUS", "CGROUPS"):
        monkeypatch.setattr(cpu_usage, name, tmp_path)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.usefixtures("two_cpus")
def test_usage_by_others_is_busy_time_without_this_process() -> None:
    now = Counters(
        at=2.0, busy={0: 1.9, 1: 1.5, 2: 2.0}, stolen={0: 0.1, 1: 0.0, 2: 0.0}, total={0: 2.0, 1: 2.0, 2: 2.0},
        own=2.1, throttled=0.25, involuntary_switches=30,
    )  # fmt: skip
    reading = difference(NOTHING, now)
    assert reading is not None
    assert reading.others_cpu_seconds == pytest.approx(1.3)  # CPU 2 is not for this process
    assert reading.stolen_cpu_seconds == pytest.approx(0.1)
    assert (reading.own_cpu_seconds, reading.throttled_cpu_seconds, reading.involuntary_switches) == (2.1, 0.25, 30)


@pytest.mark.usefixtures("two_cpus")
def test_counters_that_do_not_advance_give_no_reading() -> None:
    """In some sandboxes, /proc/stat contains zeros."""
    assert difference(NOTHING, replace(NOTHING, at=2.0, own=1.5)) is None


def test_the_kernels_counters_are_read_by_cpu(proc: Path) -> None:
    ticks = [str(seconds * HERTZ) for seconds in (1, 2, 3, 50, 5, 6, 7, 8, 1, 2)]
    text = f"cpu  9 9 9 9 9 9 9 9 9 9\ncpu12 {' '.join(ticks)}\nintr 12 0 0\n"
    busy, stolen, total = cpu_usage.cpu_seconds(text)
    assert (busy, stolen, total) == ({12: 19.0}, {12: 8.0}, {12: 82.0})  # a guest's time is in its host's


def test_descendants_count_as_own(proc: Path) -> None:
    write(proc / "self" / "task" / "1" / "children", "20 30 ")
    write(proc / "20" / "task" / "20" / "children", "40 ")
    assert list(cpu_usage.children("self")) == ["20", "40", "30"]  # 30 has gone meanwhile
    fields = [*"S" * 11, *(str(HERTZ * seconds) for seconds in (1, 2, 3, 4)), "0", "0"]
    write(proc / "20" / "stat", f"20 (a worker) of (mine)) {' '.join(fields)}")
    assert cpu_usage.process_seconds("20") == 10.0
    assert cpu_usage.process_seconds("30") == 0.0


def test_the_limit_of_a_container_is_read_if_there_is_one(proc: Path) -> None:
    assert cpu_usage.throttled_seconds() == 0.0
    write(proc / "self" / "cgroup", "1:cpu:/x\n0::/job\n")
    assert cpu_usage.throttled_seconds() == 0.0
    write(proc / "job" / "cpu.stat", "usage_usec 10\nnr_throttled 3\nthrottled_usec 1500000\n")
    assert cpu_usage.throttled_seconds() == 1.5


def test_hyper_threads_count_as_one_core(proc: Path) -> None:
    for cpu in range(4):
        write(proc / f"cpu{cpu}" / "topology" / "thread_siblings_list", f"{cpu % 2},{cpu % 2 + 2}")
    assert cpu_usage.physical_cores(range(4)) == 2
    assert cpu_usage.physical_cores(range(6)) == 4  # the kernel says nothing of two of them


@linux
def test_the_counters_of_this_machine_are_read() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert str(child.pid) in list(cpu_usage.children("self"))
        child.communicate(b"\n")
    before, burnt = read_counters(), process_time()
    while process_time() - burnt < 0.03:
        pass
    after = read_counters()
    assert before is not None
    assert after is not None
    assert after.own - before.own >= 0.03
    assert cpu_usage.usable_cpus() <= set(after.busy)
    assert 1 <= cpu_usage.physical_cores(cpu_usage.usable_cpus()) <= len(cpu_usage.usable_cpus())


@linux
def test_other_ranks_on_the_machine_are_not_other_processes() -> None:
    sibling = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    code = """
import os, time
from ganbench.runtime.cpu_usage import read_counters

roots = ("self", str(os.getppid()))
before = [read_counters(root) for root in roots]
time.sleep(1)
print(*(read_counters(root).own - one.own for root, one in zip(roots, before)))
"""
    try:
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    finally:
        sibling.kill()
        sibling.wait()
    alone, together = map(float, output.split())
    assert together - alone > 0.2


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_on_other_systems_nothing_is_read(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert read_counters() is None
    monitor = CPUMonitor()
    monitor.begin()
    assert monitor.reading() is None


def test_if_the_counters_are_hidden_nothing_is_read(proc: Path) -> None:
    assert read_counters() is None
    write(proc / "stat", "cpu0 1 2\n")
    assert read_counters() is None


@pytest.mark.usefixtures("two_cpus")
def test_windows_too_short_for_a_reading_are_combined(monkeypatch: pytest.MonkeyPatch) -> None:
    now, busy = 0.0, 0.0
    monkeypatch.setattr(
        cpu_usage,
        "read_counters",
        lambda _: replace(NOTHING, at=now, busy={0: busy, 1: busy}, total={0: now, 1: now}),
    )
    monitor, spans = CPUMonitor(), []
    for seconds, others, pause in (
        (0.2, 0.1, 0.0),
        (0.2, 0.0, 10.0),
        (0.2, 0.1, 0.0),
        (2.0, 0.0, 0.0),
        (1.0, 1.0, 0.0),
    ):
        monitor.begin()
        now += seconds
        busy += others * seconds
        reading = monitor.reading()
        spans.append(reading and (round(reading.seconds, 9), round(reading.others_cpu_seconds, 9)))
        now += pause  # an evaluation, which keeps the machine busy
        busy += pause
    assert spans == [None, None, (0.6, 0.08), (2.0, 0.0), (1.0, 2.0)]


def windows(others: float = 0.0, stolen: float = 0.0, throttled: float = 0.0, seconds: float = 2.0) -> list[Window]:
    reading = CPUReading(
        seconds=seconds, own_cpu_seconds=1.0, others_cpu_seconds=others * seconds, stolen_cpu_seconds=stolen * seconds,
        throttled_cpu_seconds=throttled * seconds, involuntary_switches=100,
    )  # fmt: skip
    told = {"epoch": 1, "images": 64, "seconds": seconds, "dispatch_seconds": seconds, "device_seconds": None}
    return [Window(**told, cpu=reading), Window(**told)]


@pytest.mark.parametrize(
    ("cores", "threads", "taken", "lost"),
    [
        (2, 2, {"others": 1.0}, 0.5),
        (2, 2, {"others": 0.04}, 0.02),  # what runs on any machine
        (2, 1, {"others": 1.0}, 0.0),  # there was a core for each
        (64, 32, {"others": 10.0}, 0.0),
        (64, 64, {"others": 16.0}, 0.25),
        (2, 8, {}, 0.0),  # more threads than cores disturb one another, and nobody else did
        (2, 2, {"stolen": 0.5}, 0.25),
        (64, 4, {"throttled": 1.0, "others": 30.0}, 0.25),  # a container on a large machine
        (2, 2, {"others": 9.0}, 1.0),
    ],
)
def test_lost_time_is_what_training_could_have_used(
    cores: int, threads: int, taken: dict[str, float], lost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_usage, "usable_cpus", lambda: set(range(cores)))
    monkeypatch.setattr(cpu_usage, "physical_cores", len)
    use = cpu_use(windows(**taken), threads)
    assert use is not None
    assert use.lost_share == pytest.approx(lost)
    assert use.involuntary_switches_per_second == 50.0
    assert (describe_disturbance(use) is not None) is (lost >= cpu_usage.DISTURBED_FRACTION)


@pytest.mark.usefixtures("two_cpus")
def test_the_disturbance_names_causes_and_amounts() -> None:
    assert describe_disturbance(cpu_use(windows(others=0.92, stolen=0.01), 2)) == (
        "other processes used 0.92 of the 2 CPU cores during training"
    )
    assert describe_disturbance(cpu_use(windows(stolen=0.5, throttled=0.25), 2)) == (
        "the hypervisor withheld 0.50 and the CPU limit of its container withheld 0.25 of the 2 CPU cores "
        "during training"
    )


def test_a_short_run_has_no_cpu_usage() -> None:
    assert cpu_use(windows(others=2.0, seconds=0.6), 2) is None
    assert cpu_use([], 2) is None
    assert describe_disturbance(None) is None
