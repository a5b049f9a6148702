"""Which operations add in no fixed order on a GPU, so that equal steps have different results."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

# torch's names, from https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
UNORDERED = re.compile(
    r"_?upsample_(linear1d|bilinear2d|bicubic2d|trilinear3d)(_aa)?_backward"
    r"|_?adaptive_(avg|max)_pool\dd_backward|(avg|max)_pool3d(_with_indices)?_backward|fractional_max_pool\dd_backward"
    r"|(reflection|replication)_pad\dd_backward|grid_sampler_\dd_backward|cudnn_grid_sampler_backward"
    r"|(index_add|scatter_add|scatter_reduce|histc|bincount|cumsum)_?"
)


class Dispatched(TorchDispatchMode):
    """Notes the unordered operations that are called within the block, including its backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.unordered: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = function._schema.name.partition("::")[2]
        if UNORDERED.fullmatch(name) and name not in self.unordered:
            self.unordered.append(name)
        return function(*arguments, **(options or {}))


def unordered_operations(work: Callable[[], object]) -> list[str]:
    """Return the names of the unordered operations that `work` calls, in their order."""
    with Dispatched() as dispatched:
        work()
    return dispatched.unordered
