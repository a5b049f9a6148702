"""A training without a run directory: scored where it begins and where it ends, and nothing else."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Literal

import torch

from ganbench.errors import DivergedError, GanbenchError
from ganbench.plugin.callbacks import Callback
from ganbench.runtime.cpu import set_up_cpu
from ganbench.runtime.memory import explain_out_of_memory
from ganbench.runtime.precision import deterministic_convolutions, float32_precision
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.system.files import default_data_dir, named_data_dir

from .engines import EagerEngine, check_engine
from .history import EpochLosses, need_finite_weights
from .preparation import PreparedRun, prepare, resolve_device
from .state.measuring import untouched

READ_EVERY = 50  # steps: reading their losses waits for the device


@dataclass(frozen=True)
class Trial:
    """The outcome of a training run."""

    steps: int
    losses: dict[str, float]  # d_loss, g_loss and monitors of the last step
    initial: dict[str, float | None]  # each metric before training, by its title; None if not finite
    final: dict[str, float | None]  # each metric after training; also None if a loss became non-finite
    better: dict[str, Literal["lower", "higher"]]


def run_trial(spec: BenchmarkSpec, device: str = "auto", data_dir: Path | None = None) -> Trial:
    """Train a benchmark by the eager engine, without warm-up, clock, pictures and files. Raises as `run` does."""
    chosen = resolve_device(device)
    check_engine(spec.engine, chosen, verify_steps=None)
    if chosen.type == "cpu":
        set_up_cpu()
    try:
        with torch.cuda.device(chosen) if chosen.type == "cuda" else nullcontext():
            prepared = prepare(spec, chosen, named_data_dir(data_dir) or default_data_dir(), Callback())
            with float32_precision(prepared.precision), deterministic_convolutions():
                return train(prepared)
    except Exception as error:
        if out_of_memory := explain_out_of_memory(error, spec.training.batch_size, chosen):
            raise GanbenchError(out_of_memory) from error
        raise


def train(prepared: PreparedRun) -> Trial:
    batch_size = prepared.spec.training.batch_size
    engine = EagerEngine(prepared.step, prepared.batches)
    losses, steps = EpochLosses(epoch=1), 0
    initial = scores(prepared, 0)
    try:
        batches = chain.from_iterable(prepared.batches.epoch() for _ in count())
        for inputs in islice(batches, prepared.total_steps):
            losses.add(engine(inputs, ended=lambda _: None))
            steps += 1
            if steps % READ_EVERY == 0 or steps == prepared.total_steps:
                losses.read(steps)
        final = scores(prepared, steps * batch_size)
    except DivergedError:
        final = dict.fromkeys(initial)
    better = {prepared.evaluator.titles[scored.id]: scored.metric.better for scored in prepared.evaluator.metrics}
    return Trial(steps, losses.last(), initial, final, better)


def scores(prepared: PreparedRun, images: int) -> dict[str, float | None]:
    """Each metric of the networks as they are, by its title."""
    need_finite_weights(prepared.step, f"after {images} images")
    with untouched(prepared.step, prepared.batches, Callback().on_warning):
        evaluated = prepared.evaluator.evaluate(prepared.networks, images, epoch=None)
    return {title: point.value for title, point in evaluated}
