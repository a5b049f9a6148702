"""How many threads torch computes with on a CPU."""

from __future__ import annotations

import os

import joblib
import torch


def use_physical_cores() -> None:
    """Let torch compute with one thread for each physical core that this process may use.

    Its own default counts the machine's cores, also in a container or a cluster's job that has but some of them. Where
    the environment variable OMP_NUM_THREADS is set, that decides.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(joblib.cpu_count(only_physical_cores=True))
