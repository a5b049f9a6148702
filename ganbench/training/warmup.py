"""The warm-up: first steps, the choice of the engine, and measurements that cannot be made during training.

Afterwards, weights, buffers, optimizers and random number generators are as they were before: the warm-up does not
change the results of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, product
from pathlib import Path
from statistics import mean
from time import perf_counter

import torch

from ganbench.data.batches import Batches, Inputs
from ganbench.errors import GanbenchError, causes, restated
from ganbench.results.schema import Profile
from ganbench.results.throughput import ComponentThroughput, EngineRecord
from ganbench.scoring.sampling import evaluation_context
from ganbench.system.torch_defaults import preserve_torch_defaults

from .engines import EagerEngine, Engine, choose_engine
from .first_steps import (
    MissingGradients,
    refuse_reserved_monitors,
    require_known_parameters,
    unadapted_augmentations,
    unrestored_state_warnings,
    warnings_of_first_steps,
)
from .position import Position
from .preparation import PreparedRun
from .profiling import profile_steps
from .rank_checks import running_state_warnings
from .roofline import count_flops, count_state_bytes
from .sample_images import generated_source
from .state.measuring import untouched
from .state.python_state import Snapshot, inspect_step
from .state.step_state import restore_state, snapshot_state
from .step import TrainingStep
from .timing import synchronize

MEASURED_SECONDS, MEASURED_CALLS = 0.1, 2  # at least; a step on a CPU takes longer


@dataclass(frozen=True)
class WarmupResult:
    """The engine, and the measurements that explain its throughput."""

    engine: Engine
    engine_record: EngineRecord
    step_seconds: float
    component_throughput: ComponentThroughput
    flops_per_image: float
    state_bytes_per_step: int
    profile: Profile | None
    seconds: float
    warnings: list[str]
    shared_state: list[str]  # paths of state that changes in training and that all runs of the process share


def warm_up(prepared: PreparedRun, verify_steps: int | None, trace: Path | None) -> WarmupResult:
    """Warm up, and write a profile to the file `trace` unless it is None. Raises the same errors as training.

    Each rank warms up alone, as the number of its steps depends on their time.
    """
    with prepared.step.without_ranks():
        return warm_up_alone(prepared, verify_steps, trace)


def warm_up_alone(prepared: PreparedRun, verify_steps: int | None, trace: Path | None) -> WarmupResult:
    start = perf_counter()
    spec, step, batches = prepared.spec, prepared.step, prepared.batches
    eager = EagerEngine(step, batches)
    state, before = snapshot_state(step, batches), Snapshot(step)

    def restore() -> None:
        restore_state(state, step, batches)

    examples, missing = examples_of_each_size(prepared), MissingGradients(step)
    try:
        with unadapted_augmentations(step) as unadapted:
            with (
                explain_last_batch_errors(prepared, len(examples[0][0])),
                preserve_torch_defaults(f"{spec.loss.plugin}: a step changed"),
            ):
                flops_per_image = count_flops(eager, examples[0])
            compile_seconds = compile_networks(eager, examples) if spec.engine.compile else None
            # with the step that was counted, three with a full batch, after which allocators and lazily created state
            # are stable, and one with a smaller batch, which may raise an error
            for inputs, at in product([*reversed(examples), examples[0]], step.penalties.first_positions):
                with explain_last_batch_errors(prepared, len(inputs[0])):
                    output = eager(inputs, at)
                missing.look()
        require_known_parameters(prepared)
        try_sampling(prepared)
        warnings = [
            *warnings_of_first_steps(step, inspect_step(step), unadapted, missing),
            *running_state_warnings(step, state, prepared.ranks),
        ]
        shared_state = [path for path, place in before.changed().items() if place.of_process]
        refuse_reserved_monitors(output, spec.loss)
        state_bytes = count_state_bytes(step)

        engine, record = choose_engine(
            eager, spec.engine, examples, restore, verify_steps, prepared.context.total_images
        )
        seconds = mean_step_seconds(engine, examples[0], step, prepared.device)
        ranks = prepared.ranks.size
        components = ComponentThroughput(
            data_only=ranks * loading_rate(batches, prepared.device),
            compute_only=ranks * len(examples[0][0]) / seconds,
        )
        profile = profile_steps(eager, examples[0], trace) if trace is not None else None
    except BaseException:
        with suppress(Exception):  # the first error is the one to report
            restore()
        raise
    restore()
    return WarmupResult(
        engine=engine,
        engine_record=record.model_copy(update={"compile_seconds": compile_seconds}),
        step_seconds=seconds,
        component_throughput=components,
        flops_per_image=flops_per_image,
        state_bytes_per_step=state_bytes,
        profile=profile,
        seconds=perf_counter() - start,
        warnings=[*warnings, *unrestored_state_warnings(step, before)],
        shared_state=shared_state,
    )


def try_sampling(prepared: PreparedRun) -> None:
    """Generate a batch in each way that scores and sample images will, so that errors occur before training."""
    spec, sources = prepared.spec, [*prepared.evaluator.sources(), generated_source(prepared)]
    with (
        untouched(prepared.step, prepared.batches, lambda _: None),  # scoring itself warns of what it changed
        evaluation_context(spec.training.seed, prepared.device),
    ):
        for source in dict.fromkeys(each for each in sources if each is not None):
            try:
                prepared.sampler.try_out(source, spec.training.generator_images)  # as many as it makes in training
            except GanbenchError as error:
                raise restated(
                    error,
                    f"{error}. To train a generator that does not make images from latent vectors, switch scores and "
                    "sample images off: -o metrics=[] -o sample_images.generated=0",
                ) from error


def examples_of_each_size(prepared: PreparedRun) -> list[Inputs]:
    """Return inputs of a full batch, and of the smaller last batch of an epoch if training reaches one."""
    full_batch = next(iter(prepared.batches.epoch()))
    training = prepared.spec.training
    remainder = 0 if training.drop_last else len(prepared.data.train) % training.images_per_step
    if not remainder or prepared.total_steps < prepared.steps_per_epoch:
        return [full_batch]
    return [full_batch, tuple(tensor[: remainder // prepared.ranks.size] for tensor in full_batch)]


@contextmanager
def explain_last_batch_errors(prepared: PreparedRun, size: int) -> Iterator[None]:
    """If the smaller last batch of an epoch raises an error, add to it how to avoid such a batch."""
    try:
        yield
    except GanbenchError as error:
        batch_size, images = prepared.spec.training.images_per_step, len(prepared.data.train)
        if size == batch_size // prepared.ranks.size:
            raise
        raise restated(
            error,
            f"{error}. It occurred with the last batch of an epoch, which has {size} image{'s' * (size > 1)}, as "
            f"{images:,} images are not a multiple of {batch_size}: skip it with -o training.drop_last=true, or change "
            "training.batch_size",
        ) from error


def compile_networks(eager: EagerEngine, examples: list[Inputs]) -> float:
    """Compile both networks for every batch size; return the seconds of the first steps, which include compiling."""
    start = perf_counter()
    eager.step.compile()
    try:
        for inputs in examples:
            eager(inputs, Position(0, 0))
    except Exception as error:
        first = list(causes(error))[-1]
        raise GanbenchError(
            f"engine.compile: torch.compile failed: {type(first).__name__}: {str(first).partition(chr(10))[0]}; "
            "-o engine.compile=false runs without it"
        ) from error
    return perf_counter() - start


def loading_rate(batches: Batches, device: torch.device) -> float:
    """Return the images/s at which batches, some of them smaller, are loaded to the device."""
    inputs = chain.from_iterable(batches.epoch() for _ in count())
    next(inputs)  # starts the workers
    sizes: list[int] = []

    def load() -> None:
        images, _ = batches.load(*next(inputs))
        sizes.append(len(images))

    seconds = mean_seconds(load, device)
    return mean(sizes) / seconds


def mean_step_seconds(engine: Engine, inputs: Inputs, step: TrainingStep, device: torch.device) -> float:
    """Return the mean time of a step on one batch, over all variants weighted by their frequency."""
    positions = step.penalties.first_positions
    return sum(share * mean_seconds(partial(engine, inputs, at), device) for at, share in positions.items())


def mean_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the mean time of `MEASURED_CALLS` calls, or of those that fit into `MEASURED_SECONDS` if these are more.

    Synchronizes only before and after all.
    """
    synchronize(device)
    done, start = 0, perf_counter()
    while done < MEASURED_CALLS or perf_counter() - start < MEASURED_SECONDS:
        work()
        done += 1
    synchronize(device)
    return (perf_counter() - start) / done
