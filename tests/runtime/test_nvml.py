"""Readings of a GPU through NVML, which is mocked here."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest
import torch

from ganbench.runtime.nvml import GPUMonitor

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A GPU with counters set by the test."""
    gpu = SimpleNamespace(millijoules=0, reasons=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetClockInfo", lambda *_: 1755)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda _: gpu.millijoules)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", lambda _: gpu.reasons)
    return gpu


def test_energy_clock_and_throttling_are_read(gpu: SimpleNamespace) -> None:
    monitor = GPUMonitor(CUDA)
    gpu.millijoules = 5_000
    since = monitor.joules()
    gpu.millijoules = 12_500
    gpu.reasons = pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonGpuIdle
    reading = monitor.reading(since)
    assert reading is not None
    assert (reading.joules, reading.sm_clock_mhz, reading.throttled_by) == (7.5, 1755, ["sw_power_cap"])


def test_the_clock_is_read_without_an_energy_counter(gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise NOT_SUPPORTED

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    monitor = GPUMonitor(CUDA)
    reading = monitor.reading(monitor.joules())
    assert reading is not None
    assert (reading.joules, reading.sm_clock_mhz) == (None, 1755)


@pytest.mark.parametrize("missing", ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetClockInfo"])
def test_without_nvml_nothing_is_reported(missing: str, gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NOT_SUPPORTED

    monkeypatch.setattr(pynvml, missing, refuse)
    monitor = GPUMonitor(CUDA)
    assert monitor.reading(monitor.joules()) is None


def test_a_cpu_has_no_nvml() -> None:
    monitor = GPUMonitor(CPU)
    assert monitor.joules() is None
    assert monitor.reading(None) is None
