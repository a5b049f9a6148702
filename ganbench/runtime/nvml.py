"""Energy, clock rate and throttling of a GPU, read through NVML (the NVIDIA Management Library)."""

from __future__ import annotations

import pynvml
import torch

from ganbench.results.throughput import GPUReading

# https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html, without "idle"
THROTTLE_REASONS = {
    pynvml.nvmlClocksEventReasonApplicationsClocksSetting: "applications_clocks_setting",
    pynvml.nvmlClocksEventReasonSwPowerCap: "sw_power_cap",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hw_slowdown",
    pynvml.nvmlClocksEventReasonSyncBoost: "sync_boost",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "sw_thermal_slowdown",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "hw_thermal_slowdown",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "hw_power_brake_slowdown",
    pynvml.nvmlClocksEventReasonDisplayClockSetting: "display_clock_setting",
}


class GPUMonitor:
    """Reads the GPU used for training. Reads nothing on a CPU, or if the driver does not permit it."""

    def __init__(self, device: torch.device) -> None:
        self._handle = None
        if device.type == "cuda":
            try:
                pynvml.nvmlInit()
                uuid = torch.cuda.get_device_properties(device).uuid
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            except pynvml.NVMLError:
                pass  # the library is missing, permission is denied, or the device is a MIG slice

    def joules(self) -> float | None:
        """Return the energy used by the board since the driver was loaded, in joules; None if unavailable."""
        if self._handle is None:
            return None
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        except pynvml.NVMLError:
            return None  # not supported before Volta

    def reading(self, since: float | None) -> GPUReading | None:
        """Return the current state of the GPU, with the energy used since `joules()` returned `since`."""
        if self._handle is None:
            return None
        now = self.joules()
        try:
            clock = pynvml.nvmlDeviceGetClockInfo(self._handle, pynvml.NVML_CLOCK_SM)
            reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(self._handle)
        except pynvml.NVMLError:
            return None
        return GPUReading(
            joules=None if since is None or now is None else now - since,
            sm_clock_mhz=clock,
            throttled_by=[name for reason, name in THROTTLE_REASONS.items() if reasons & reason],
        )
