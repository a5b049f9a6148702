"""Trains specs that differ only in their seed: several at once on a GPU, where they take turns, or one by one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from traceback import clear_frames
from types import FunctionType
from typing import Any

import torch

from ganbench.errors import GanbenchError, PluginError, causes
from ganbench.plugin.callbacks import Callback
from ganbench.reporting.console import warn_on_error
from ganbench.reporting.display import Display
from ganbench.reporting.trackers.fan_out import Trackers
from ganbench.results.layout import has_result
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.runtime.device import resolve_device
from ganbench.runtime.precision import training_precision
from ganbench.runtime.process_state import fresh_process_state
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.launch import make_launch
from ganbench.spec.seeds import AT_ONCE, may_train_at_once
from ganbench.system.files import named_data_dir
from ganbench.system.signals import interrupt_on_signals

from .arguments import RunArguments
from .callbacks import Callbacks
from .engines import check_engine
from .interrupt import Interrupt
from .loop import TrainingLoop
from .runner import prepare_in_memory, run
from .state.python_state import own_objects
from .step import TrainingStep
from .turns import Turns, take_turns


def train_specs(
    specs: Mapping[Path, BenchmarkSpec], make_display: Callable[[], Display], arguments: RunArguments
) -> dict[Path, Result | GanbenchError]:
    """Train specs that differ only in their seed, by run directory: on a GPU several at once, else one after another.

    Returns the results, or the errors that ended training, in the same order; after an interruption, only those of the
    runs that had begun. Raises only errors that occur before training.
    """
    on_gpu = resolve_device(arguments.device).type == "cuda"
    size = AT_ONCE if on_gpu and all(map(may_train_at_once, specs.values())) else 1
    outcomes: dict[Path, Result | GanbenchError] = {}
    while len(outcomes) < len(specs):
        directories = list(specs)[len(outcomes) :][:size]
        group = [specs[directory] for directory in directories]
        display, interrupt = make_display(), Interrupt()
        ended: list[Result | GanbenchError]
        try:
            if len(group) > 1:
                displays = [display, *(WarningsOfSeed(display, spec.training.seed) for spec in group[1:])]
                ended = run_at_once(group, directories, displays, interrupt, arguments)
            else:
                spec, directory = group[0], directories[0]
                result, _ = run(spec, arguments, out=directory, display=display, interrupt=interrupt)
                ended = [result]
        except GanbenchError as error:
            if not outcomes and not has_result(directories[0]):  # nothing has been trained
                raise
            ended = [error]
        except KeyboardInterrupt:
            if not outcomes:
                raise
            break
        finally:
            with warn_on_error("the display"):
                display.stop()
        outcomes |= zip(directories, ended, strict=False)
        if interrupt.requested:
            break
        free_memory_of(ended)
    return outcomes


def free_memory_of(ended: Iterable[Result | GanbenchError]) -> None:
    """Free the networks of runs, which the frames of errors and reference cycles hold, for the runs that follow."""
    for outcome in ended:
        if isinstance(outcome, GanbenchError):
            for cause in causes(outcome):
                clear_frames(cause.__traceback__)
    gc.collect()


class WarningsOfSeed(Callback):
    """Passes the warnings of a run to the display of the first of the runs that are trained at the same time."""

    def __init__(self, display: Display, seed: int) -> None:
        self.display = display
        self.seed = seed

    def on_warning(self, message: str) -> None:
        self.display.on_warning(f"seed {self.seed}: {message}")


def run_at_once(
    specs: Sequence[BenchmarkSpec],
    folders: Sequence[Path],
    displays: Sequence[Callback],
    interrupt: Interrupt,
    arguments: RunArguments,
) -> list[Result | GanbenchError]:
    """Train, time and score specs that differ only in their seed, at the same time. See `runner.run`.

    Each has a run directory in `folders`, and a display. Returns, in the same order, the results of the runs, or the
    errors that ended them. The last specs are left out after an interruption, if memory does not suffice for them, if
    they share an object with the first one, and after a spec whose step is not captured as a CUDA graph or changes
    state that the others share, such as a global, because they would have to be trained one after another.

    Raises errors that occur before the training of the first one.
    """
    chosen = resolve_device(arguments.device)
    check_engine(specs[0].engine, chosen, arguments.verify_engine)
    data_dir = named_data_dir(arguments.data_dir)
    begun: list[Turns] = []
    with ExitStack() as stack:
        for spec in specs:
            stack.callback(spec.forget_built)
        stack.enter_context(fresh_process_state(chosen))
        stack.enter_context(interrupt_on_signals())

        def begin(spec: BenchmarkSpec, folder: Path, display: Callback) -> None:
            directory = RunDirectory(spec.name, folder)
            launch = make_launch(spec, folder, data_dir, arguments.device, arguments.trackers)
            callbacks, turns = Callbacks([display], chosen), Turns(chosen)
            with turns.turn():
                prepared = prepare_in_memory(spec, chosen, launch, callbacks)
            if begun and (shared := shared_objects(prepared.step, begun[0].run.prepared.step)):
                raise SharedObjectError(
                    f"{prepared.step.plugin_names.owner(shared[0])}: build returns the same object for each run, so "
                    "seeds are trained one after another; create a new one in each call of build"
                )
            stack.callback(prepared.step.python_state.forget)
            if interrupt.requested:
                return
            stack.enter_context(directory.locked())
            training = TrainingLoop(prepared, directory, launch, callbacks, arguments)
            training.write_spec()
            if not begun:
                stack.enter_context(interrupt)
            stack.enter_context(callbacks.tracked(arguments.trackers, Trackers(directory), prepared.info))
            turns.begin(training, interrupt)
            begun.append(turns)
            with training_precision(prepared.precision):
                turns.take()
            if training.captured and training.shared_state:
                callbacks.on_warning(
                    f"{training.shared_state[0]} changes in training and belongs to all runs of the process, so seeds "
                    "are trained one after another; keep it in the plugin's own object"
                )

        try:
            for spec, folder, display in zip(specs, folders, displays, strict=True):
                if begun and not (begun[-1].ready and len(begun) < number_that_fits(chosen, len(begun))):
                    break
                try:
                    interrupt.unsaved = False
                    begin(spec, folder, display)
                except GanbenchError as error:
                    if not begun:
                        raise
                    if isinstance(error, SharedObjectError):
                        displays[0].on_warning(str(error))
                    free_memory_of([error])  # of what was prepared; it will be trained later, alone
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


class SharedObjectError(PluginError):
    """Raised if a plugin's build has returned the same object for two runs, which must not be trained at once."""


def shared_objects(one: TrainingStep, other: TrainingStep) -> list[str]:
    """Return the paths of what a plugin has built for both steps, such as a module's only loss."""
    others = {*map(id, own_objects(other).values())}
    return [path for path, each in own_objects(one).items() if id(each) in others and not is_stateless_function(each)]


def is_stateless_function(value: Any) -> bool:
    """Return whether a value is a function that keeps nothing, apart from globals, whose changes are noticed."""
    if not isinstance(value, FunctionType):
        return False
    return not (value.__closure__ or value.__defaults__ or value.__kwdefaults__ or vars(value))


def number_that_fits(device: torch.device, begun: int) -> int:
    """Return how many runs fit into the memory of a device if each needs as much as those that have begun."""
    if device.type != "cuda":
        return AT_ONCE
    free, _ = torch.cuda.mem_get_info(device)
    return min(AT_ONCE, begun + int(free * begun / torch.cuda.memory_reserved(device)))
