"""The environment of a run: fields that must match to compare speed, and fields that may differ."""

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
    """Return the environment of a run on `device`, a torch device string."""
    import torch

    cpu = cpu_model()
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        must_match = {"device": properties.name, "device_count": 1, "device_memory_bytes": properties.total_memory}
    else:
        must_match = {"device": cpu, "device_count": 1, "threads": torch.get_num_threads()}
    may_differ = {
        "cpu": cpu,
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if device.startswith("cuda") else None,
        "cudnn": torch.backends.cudnn.version() if device.startswith("cuda") else None,
        **library_versions(),
        "ganbench_source": source_hash("ganbench"),
    }
    return Environment(must_match=must_match, may_differ=may_differ)


@cache
def ganbench_version() -> str:
    """Return the version of ganbench with a hash of its source, which may change without a new version."""
    return f"{version('ganbench')} (source {source_hash('ganbench')})"


@cache
def library_versions() -> dict[str, str]:
    return {library: version(library) for library in LIBRARIES}


@cache
def cpu_model() -> str:
    """Return the CPU's model name, or else what Python reports."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
