"""Measuring leaves no trace: networks, losses and random generators are afterwards as they were, bit for bit.

Whatever a plugin does in `eval()`, `train()` or its forward: weights that were averaged or merged, buffers, counters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

from ganbench.data.batches import Batches
from ganbench.errors import PluginError, describe
from ganbench.runtime.networks import NetworkState
from ganbench.runtime.rng import preserve_default_rngs
from ganbench.training.checkpoint import all_rngs
from ganbench.training.step import UPDATE_ORDER, TrainingStep

from .python_state import Snapshot


@contextmanager
def untouched(step: TrainingStep, batches: Batches, warn: Callable[[str], None]) -> Iterator[None]:
    """After the block, all that the next step depends on is as it was; `warn` is called with what could not be."""
    networks = {player: NetworkState(step.networks[player]) for player in UPDATE_ORDER}
    average = NetworkState(step.ema.generator) if step.ema else None
    loss = deepcopy(step.loss.state_dict()) if hasattr(step.loss, "state_dict") else None
    python = Snapshot(step)
    rngs = [(rng, rng.get_state()) for rng in all_rngs(step, batches).values()]
    with preserve_default_rngs(step.latents.device):
        try:
            yield
        finally:
            for player, state in networks.items():
                try:
                    state.restore()
                except Exception as error:
                    raise PluginError(
                        f"{step.plugin_names.model} raised in train(), to which the {player} was restored after it was "
                        f"evaluated: {describe(error)}"
                    ) from error
            if average is not None:
                average.restore()
            if hasattr(step.loss, "load_state_dict"):
                step.loss.load_state_dict(loss)
            python.restore()
            for rng, state_before in rngs:
                rng.set_state(state_before)
    left = [f"{player}.{name}" for player, state in networks.items() for name in state.differing()]
    left += python.changed()
    if left:
        warn(
            f"scoring has changed {', '.join(left[:5])}, which cannot be restored: a run that is scored at other times "
            f"will differ. It belongs to {step.plugin_names.owner(left[0])}"
        )
