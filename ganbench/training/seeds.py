"""Runs of one benchmark with several seeds in one process, which take turns on one GPU."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from ganbench.errors import GanbenchError
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.registrations import PublishedCurve
from ganbench.reporting.trackers.fan_out import Trackers
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.runtime.device import resolve_device
from ganbench.runtime.process_state import fresh_process_state
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import TrackerConfig
from ganbench.spec.launch import make_launch
from ganbench.system.files import named_data_dir
from ganbench.system.launcher import Launcher
from ganbench.system.signals import interrupt_on_signals

from .callbacks import Callbacks
from .engines import check_engine
from .loop import Run
from .preparation import PreparedRun
from .runner import prepare_in_memory, settings
from .timing import WINDOW_SECONDS
from .turns import Turns, take_turns

AT_ONCE = 4  # more were not measured, and each needs memory for networks, data and its CUDA graph


def can_take_turns(spec: BenchmarkSpec, device: torch.device) -> bool:
    """Return whether seeds of a benchmark may be trained at once, which pays only for CUDA graphs on one GPU.

    A time budget would end seeds that share a device after fewer steps.
    """
    alone = Launcher.of_this_process().size == 1
    return device.type == "cuda" and spec.engine.mode != "eager" and alone and spec.training.budget_seconds is None


def run_at_once(
    specs: Sequence[BenchmarkSpec],
    folders: Sequence[Path],
    displays: Sequence[Callback],
    *,
    device: str = "auto",
    data_dir: Path | None = None,
    published_curve: PublishedCurve | None = None,
    trackers: Sequence[TrackerConfig] = (),
    verify_engine: int | None = None,
    profile: bool = False,
    window_seconds: float = WINDOW_SECONDS,
) -> list[Result | GanbenchError]:
    """Train, time and score specs that differ only in their seed, at the same time. See `runner.run`.

    Each has a run directory in `folders` and a display. Returns the result of each, or the error with which it ended
    after its first step. Raises errors before that.
    """
    chosen = resolve_device(device)
    check_engine(specs[0].engine, chosen, verify_engine)
    with ExitStack() as stack:
        stack.enter_context(fresh_process_state(chosen))
        stack.enter_context(interrupt_on_signals())
        turns = [Turns(chosen) for _ in specs]
        prepared: list[PreparedRun] = []
        runs: list[Run] = []
        callbacks = [Callbacks([display], chosen) for display in displays]
        directories = [RunDirectory(spec.name, folder) for spec, folder in zip(specs, folders, strict=True)]
        launches = [
            make_launch(spec, folder, named_data_dir(data_dir), device, trackers)
            for spec, folder in zip(specs, folders, strict=True)
        ]
        for spec, launch, callback, each in zip(specs, launches, callbacks, turns, strict=True):
            with each.turn():
                prepared.append(prepare_in_memory(spec, chosen, launch, callback))
        for ready, directory, launch, callback in zip(prepared, directories, launches, callbacks, strict=True):
            stack.enter_context(directory.locked())
            runs.append(
                Run(ready, directory, launch, published_curve, callback, verify_engine, profile, window_seconds)
            )
            stack.enter_context(callback.tracked(trackers, Trackers(directory), ready.info))
        with settings(prepared[0].precision) as interrupt:
            take_turns(turns, runs, interrupt)
    outcomes = [each.outcome for each in turns if each.outcome is not None]
    if len(outcomes) < len(turns):
        raise KeyboardInterrupt  # before all had begun
    return outcomes
