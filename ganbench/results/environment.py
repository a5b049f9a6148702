"""The machine's fingerprint: what speed depends on for certain (hard) and what it may depend on (soft)."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ganbench.system.source import source_hash

from .schema import Environment

LIBRARIES = ("ganbench", "torch", "torchvision", "torchmetrics", "numpy")


def describe_environment(device: str) -> Environment:
    """The environment of a run on `device`, as torch writes it."""
    import torch

    cpu = cpu_model()
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        hard = {"device": properties.name, "device_count": 1, "device_memory_bytes": properties.total_memory}
    else:
        hard = {"device": cpu, "device_count": 1, "threads": torch.get_num_threads()}
    soft = {
        "cpu": cpu,
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if device.startswith("cuda") else None,
        "cudnn": torch.backends.cudnn.version() if device.startswith("cuda") else None,
        **library_versions(),
        "ganbench_source": source_hash("ganbench"),
    }
    return Environment(must_match=hard, may_differ=soft)


@cache
def ganbench_version() -> str:
    """The version of ganbench with a hash of its source, which may be edited without a new version."""
    return f"{version('ganbench')} (source {source_hash('ganbench')})"


@cache
def library_versions() -> dict[str, str]:
    return {library: version(library) for library in LIBRARIES}


@cache
def cpu_model() -> str:
    """The processor's name as its maker writes it, or what Python knows of it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
