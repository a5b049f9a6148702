"""Runs a benchmark: prepares or resumes a run, and trains it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from ganbench.plugin.callbacks import Callback
from ganbench.reporting.trackers.fan_out import Trackers
from ganbench.results.differences import flatten
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.runtime.device import REMEDY, resolve_device
from ganbench.runtime.memory import explained_out_of_memory
from ganbench.runtime.precision import training_precision
from ganbench.runtime.process_state import fresh_process_state
from ganbench.runtime.ranks import SINGLE, Ranks, join_ranks
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.launch import Launch, make_launch, read_launch
from ganbench.system.files import default_data_dir, named_data_dir
from ganbench.system.launcher import Launcher
from ganbench.system.signals import interrupt_on_signals

from .arguments import RunArguments
from .callbacks import Callbacks
from .engines import check_engine
from .interrupt import Interrupt
from .loop import TrainingLoop
from .preparation import PreparedRun, prepare
from .rank_checks import check_launch, require_same_on_all_ranks
from .resuming import find_checkpoint, require_same_conditions, require_unaffected_by_length
from .turns import train_alone

REMEDY_TO_RESUME = (
    "a run is resumed on a device of the same kind: name it with --device, use a machine that has one, or start a new "
    "run"
)


def run(
    spec: BenchmarkSpec,
    arguments: RunArguments,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    display: Callback | None = None,
    callback: Callback | None = None,
    interrupt: Interrupt | None = None,
) -> tuple[Result, RunDirectory]:
    """Train, time and score a benchmark, and store the result in a run directory.

    - `out`: a new run directory.
    - `resume`: the directory of an earlier run, to continue at its checkpoint; the spec is that run's own or a longer
      one.
    - `display`, `callback`: receive the events of the run in this process.
    - `interrupt`: shows the caller afterwards whether an interruption was requested, even if the run was complete.

    Ctrl-C ends training after the current step, and the generator is scored; after a second one or SIGTERM, it is not.
    Once the run directory is created, the result so far is always on disk afterwards, and if training has started, a
    checkpoint too. Only a third Ctrl-C, which ends a step that hangs, loses training since the last checkpoint. An
    error before that directory is created leaves no files.

    In processes started by torchrun, each is a rank of one run and trains on its share of each batch. Only the first
    rank calls `display`, `callback` and the trackers, and writes to the run directory; the others return a result too.
    Ctrl-C then has the effect of SIGTERM.

    Raises a subclass of `GanbenchError` for errors that a user can cause.
    """
    launcher, stack = Launcher.of_this_process(), ExitStack()
    if launcher.rank > 0:
        display, callback, arguments = None, None, replace(arguments, trackers=())
        out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ganbench-rank-"))) / "run"
    directory = RunDirectory(spec.name, out) if resume is None or out else RunDirectory.reopen(resume)
    data_dir = named_data_dir(arguments.data_dir)
    launch = make_launch(spec, directory.path, data_dir, arguments.device, arguments.trackers, launcher.size)
    if resume is not None:
        launch = launch.resume(read_launch(resume), arguments.data_dir)
    check_launch(spec.engine, launch.device, arguments.profile, arguments.verify_engine, launcher.size)
    chosen = resolve_device(launch.device, launcher.local_rank, REMEDY if resume is None else REMEDY_TO_RESUME)
    callbacks = Callbacks([each for each in (display, callback) if each is not None], chosen)
    check_engine(spec.engine, chosen, arguments.verify_engine)
    with stack, fresh_process_state(chosen), interrupt_on_signals(), join_ranks(launcher, chosen) as ranks:
        require_same_on_all_ranks(ranks, "specs", flatten(spec.to_dict()))
        checkpoint = None
        if resume is not None:
            stack.enter_context(directory.locked())
            checkpoint = find_checkpoint(RunDirectory.reopen(resume), spec)
            if checkpoint is not None:
                checkpoint.require_ranks(ranks.size, resume)
        stack.callback(spec.forget_built)
        prepared = prepare_in_memory(spec, chosen, launch, callbacks, ranks)
        stack.callback(prepared.step.python_state.forget)
        if resume is None:
            stack.enter_context(directory.locked())
        if checkpoint is not None:
            require_same_conditions(checkpoint.progress, prepared, directory.path)
            require_unaffected_by_length(checkpoint.progress, prepared, directory.path)
        training = TrainingLoop(prepared, directory, launch, callbacks, arguments)
        if checkpoint is not None:
            training.resume_from(checkpoint)
        training.write_spec()
        info = replace(prepared.info, images=training.state.images)
        with (
            callbacks.tracked(arguments.trackers, Trackers(directory), info),
            training_precision(prepared.precision),
            interrupt or Interrupt() as interrupt,
        ):
            return train_alone(training.execute(interrupt)), directory


def prepare_in_memory(
    spec: BenchmarkSpec, device: torch.device, launch: Launch, callback: Callback, ranks: Ranks = SINGLE
) -> PreparedRun:
    """Like `prepare`, but also explain if the device has too little memory."""
    with explained_out_of_memory(spec.training.batch_size, device):
        return prepare(spec, device, Path(launch.data_dir or default_data_dir()), callback, ranks)
