"""The device of a run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

import torch

from ganbench.errors import GanbenchWarning, UsageError

REMEDY = "use --device cpu"


def resolve_device(name: str, default_index: int = 0, remedy: str = REMEDY) -> torch.device:
    """Return the torch device for "auto", "cpu", "cuda" or "cuda:N". Raises `UsageError` if it is not available.

    `default_index` is the index of the CUDA device if the name has none, and `remedy` says what to do if there is none.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        problem = why_unsupported(default_index) if default_index < count else None
        if problem is not None:
            warnings.warn(f"using the CPU, because {problem}", GanbenchWarning, stacklevel=1)  # once, not per caller
        name = "cuda" if count and problem is None else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: choose auto, cpu, cuda or cuda:N")
    if device.type == "cpu":
        return torch.device("cpu")
    index = default_index if device.index is None else device.index
    if index >= count:
        raise UsageError(f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count > 1)}; {remedy}")
    problem = why_unsupported(index)
    if problem is not None:
        raise UsageError(f"--device {name}: {problem}; or {remedy}")
    return torch.device("cuda", index)


def why_unsupported(index: int) -> str | None:
    """Return why the installed torch has no code for a GPU, and what to install; None if it has.

    Otherwise, the first operation on the GPU would fail, inside of a plugin.
    """
    built_for = torch.cuda.get_arch_list()
    major, minor = torch.cuda.get_device_capability(index)
    if torch.version.cuda is None or not built_for or runs_on((major, minor), built_for):
        return None
    return (
        f"torch {torch.__version__} does not support {torch.cuda.get_device_name(index)} (compute capability "
        f"{major}.{minor}, but it was built for {', '.join(built_for)}); install a build of torch that does, see "
        "https://pytorch.org/get-started/locally/"
    )


def runs_on(capability: tuple[int, int], built_for: Iterable[str]) -> bool:
    """Return whether code for any of torch's architectures, such as sm_86, runs on a GPU of this compute capability.

    Binary code (sm) runs on GPUs of the same major version, from its minor version on; PTX (compute) on all later ones.
    """
    for architecture in built_for:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", architecture)
        if found is None:  # unknown, so it may run
            return True
        version = (int(found[2]), int(found[3]))
        if capability >= version and (found[1] == "compute" or capability[0] == version[0]):
            return True
    return False
