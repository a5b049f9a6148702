"""What torchrun tells the processes that it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Launcher:
    """The place of this process among those of a run; a process that was not started by torchrun is alone."""

    rank: int = 0
    local_rank: int = 0  # on this machine: the index of its GPU
    size: int = 1
    local_size: int = 1  # processes on this machine
    by_torchrun: bool = False  # torchrun may also start a single process

    @property
    def is_first(self) -> bool:
        """Whether this process reports and writes files."""
        return self.rank == 0

    @classmethod
    def of_this_process(cls) -> Launcher:
        """Read the variables that torchrun sets."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        rank, local_rank, size, local_size = (int(os.environ[name]) for name in names)
        return cls(rank, local_rank, size, local_size, by_torchrun=True)
