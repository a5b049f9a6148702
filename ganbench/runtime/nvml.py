"""What NVML, the management library of NVIDIA's driver, tells of a GPU: energy, clock, and what holds it back."""

from __future__ import annotations

import pynvml
import torch

from ganbench.results.schema import GPUReading

# https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html; being idle is none
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
    """Reads the GPU that torch trains on; reads nothing on a CPU, or where the driver does not let it."""

    def __init__(self, device: torch.device) -> None:
        self._handle = None
        if device.type == "cuda":
            try:
                pynvml.nvmlInit()
                uuid = torch.cuda.get_device_properties(device).uuid
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            except pynvml.NVMLError:
                pass  # no such library, no permission, or a slice of a GPU

    def joules(self) -> float | None:
        """Energy that the board has drawn since the driver was loaded."""
        if self._handle is None:
            return None
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        except pynvml.NVMLError:
            return None  # older than Volta

    def reading(self, since: float | None) -> GPUReading | None:
        """The GPU as it is now, with the energy since `joules()` gave `since`."""
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
