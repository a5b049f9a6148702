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
from ganbench.runtime.precision import training_precision
from ganbench.runtime.process_state import fresh_process_state
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import TrackerConfig
from ganbench.spec.launch import make_launch
from ganbench.spec.seeds import AT_ONCE
from ganbench.system.files import named_data_dir
from ganbench.system.signals import interrupt_on_signals

from .callbacks import Callbacks
from .engines import check_engine
from .interrupt import Interrupt
from .loop import TrainingLoop
from .runner import prepare_in_memory
from .timing import WINDOW_SECONDS
from .turns import Turns, take_turns


def run_at_once(
    specs: Sequence[BenchmarkSpec],
    folders: Sequence[Path],
    displays: Sequence[Callback],
    interrupt: Interrupt,
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

    Each has a run directory in `folders`, and a display. Returns, in the same order, the results of the runs, or the
    errors that ended them. The last specs are left out after an interruption, if memory does not suffice for them, and
    after a spec whose step is not captured as a CUDA graph or changes state that the others share, such as a global,
    because they would have to be trained one after another.

    Raises errors that occur before the training of the first one.
    """
    chosen = resolve_device(device)
    check_engine(specs[0].engine, chosen, verify_engine)
    begun: list[Turns] = []
    with ExitStack() as stack:
        stack.enter_context(fresh_process_state(chosen))
        stack.enter_context(interrupt_on_signals())

        def begin(spec: BenchmarkSpec, folder: Path, display: Callback) -> None:
            directory = RunDirectory(spec.name, folder)
            launch = make_launch(spec, folder, named_data_dir(data_dir), device, trackers)
            callbacks, turns = Callbacks([display], chosen), Turns(chosen)
            with turns.turn():
                prepared = prepare_in_memory(spec, chosen, launch, callbacks)
            stack.callback(prepared.step.python_state.forget)
            if interrupt.requested:
                return
            stack.enter_context(directory.locked())
            run = TrainingLoop(
                prepared, directory, launch, published_curve, callbacks, verify_engine, profile, window_seconds
            )
            if not begun:
                stack.enter_context(interrupt)
            stack.enter_context(callbacks.tracked(trackers, Trackers(directory), prepared.info))
            turns.begin(run, interrupt)
            begun.append(turns)
            with training_precision(prepared.precision):
                turns.take()
            if run.captured and run.shared_state:
                callbacks.on_warning(
                    f"{run.shared_state[0]} changes in training and belongs to all runs of the process, so seeds are "
                    "trained one after another; keep it in the plugin's own object"
                )

        try:
            for arguments in zip(specs, folders, displays, strict=True):
                if begun and not (begun[-1].ready and len(begun) < number_that_fits(chosen, len(begun))):
                    break
                try:
                    interrupt.unsaved = False
                    begin(*arguments)
                except GanbenchError:
                    if not begun:
                        raise
                    break
                if interrupt.requested:
                    break
            with training_precision(begun[0].run.prepared.precision):
                take_turns(begun)
        except KeyboardInterrupt:  # between the steps of the runs, or while one of them was prepared
            if not begun:
                raise
            for each in begun:
                each.interrupt()
    return [each.outcome for each in begun if each.outcome is not None]


def number_that_fits(device: torch.device, begun: int) -> int:
    """Return how many runs fit into the memory of a device if each needs as much as those that have begun."""
    if device.type != "cuda":
        return AT_ONCE
    free, _ = torch.cuda.mem_get_info(device)
    return min(AT_ONCE, begun + int(free * begun / torch.cuda.memory_reserved(device)))
