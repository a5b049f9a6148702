"""The device of a run."""

from __future__ import annotations

import torch

from ganbench.errors import UsageError

REMEDY = "use --device cpu"


def resolve_device(name: str, default_index: int = 0, remedy: str = REMEDY) -> torch.device:
    """Return the torch device for "auto", "cpu", "cuda" or "cuda:N". Raises `UsageError` if it is not available.

    `default_index` is the index of the CUDA device if the name has none, and `remedy` says what to do if there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: choose auto, cpu, cuda or cuda:N")
    if device.type == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = default_index if device.index is None else device.index
    if index >= count:
        raise UsageError(f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count > 1)}; {remedy}")
    return torch.device("cuda", index)
