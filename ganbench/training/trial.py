"""A training run without a run directory, scored only before and after training."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path

from ganbench.errors import DivergedError
from ganbench.plugin.callbacks import Callback
from ganbench.runtime.device import resolve_device
from ganbench.runtime.memory import explained_out_of_memory
from ganbench.runtime.precision import training_precision
from ganbench.runtime.process_state import fresh_process_state
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.system.files import default_data_dir, named_data_dir

from .engines import EagerEngine, check_engine
from .history import EpochLosses, require_finite_weights
from .position import Position
from .preparation import PreparedRun, prepare
from .state.measuring import untouched

READ_EVERY = 50  # steps; reading losses waits for the device


@dataclass(frozen=True)
class Trial:
    """The outcome of a training run."""

    steps: int
    losses: dict[str, float]  # d_loss, g_loss and monitors of the last step
    initial: dict[str, float | None]  # each metric before training, by its title; None if not finite
    final: dict[str, float | None]  # each metric after training; also None if a loss became non-finite
    higher_is_better: dict[str, bool]  # by the same titles, for those that are ranked
    content_sha256: str  # of the data


def run_trial(
    spec: BenchmarkSpec, device: str = "auto", data_dir: Path | None = None, callback: Callback | None = None
) -> Trial:
    """Train a benchmark eagerly, without warm-up, timing, sample images and files. Raises the same errors as `run`.

    `callback` receives what happens before training, and warnings.
    """
    callback = callback or Callback()
    spec = spec.model_copy(update={"targets": []})  # they need scores during training
    chosen = resolve_device(device)
    check_engine(spec.engine, chosen, verify_steps=None)
    with explained_out_of_memory(spec.training.batch_size, chosen), fresh_process_state(chosen), ExitStack() as stack:
        stack.callback(spec.forget_built)
        prepared = prepare(spec, chosen, named_data_dir(data_dir) or default_data_dir(), callback)
        stack.callback(prepared.step.python_state.forget)
        callback.on_run_start(prepared.info)
        with training_precision(prepared.precision):
            return train(prepared, callback)


def train(prepared: PreparedRun, callback: Callback) -> Trial:
    engine = EagerEngine(prepared.step, prepared.batches)
    losses, steps, images = EpochLosses(epoch=1), 0, 0
    initial = scores(prepared, 0, callback)
    try:
        batches = chain.from_iterable(prepared.batches.epoch() for _ in count())
        for inputs in islice(batches, prepared.total_steps):
            losses.add(engine(inputs, Position(steps, images)))
            steps += 1
            images += len(inputs[0])
            if steps % READ_EVERY == 0 or steps == prepared.total_steps:
                losses.read(steps)
        final = scores(prepared, images, callback)
    except DivergedError:
        final = dict.fromkeys(initial)
    directions = {
        prepared.evaluator.titles[value.id]: value.higher_is_better
        for scored in prepared.evaluator.metrics
        for value in scored.values
        if value.higher_is_better is not None
    }
    return Trial(steps, losses.last(), initial, final, directions, prepared.data_record.content_sha256)


def scores(prepared: PreparedRun, images: int, callback: Callback) -> dict[str, float | None]:
    """Return the current value of each metric, by its title."""
    require_finite_weights(prepared.step, f"after {images} images")
    with untouched(prepared.step, prepared.batches, callback.on_warning):
        evaluated = prepared.evaluator.evaluate(prepared.networks, images)
    return {title: point.value for title, point in evaluated}
