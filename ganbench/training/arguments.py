"""How a run is started, apart from its spec: the arguments that pass through every layer to the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganbench.plugin.registrations import PublishedCurve
    from ganbench.spec.configs import TrackerConfig

WINDOW_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """The device, the data, the trackers and the timing of a run, and what to check before training."""

    device: str = "auto"  # or "cpu", "cuda" or "cuda:N"
    data_dir: Path | None = None  # holds the datasets
    published_curve: PublishedCurve | None = None  # to plot with the losses
    trackers: Sequence[TrackerConfig] = ()  # receive the events of the run in processes of their own
    verify_engine: int | None = None  # steps over which a CUDA graph must be bitwise identical to eager execution
    profile: bool = False  # profile some steps before training
    window_seconds: float = WINDOW_SECONDS  # approximate length of a timing window
