"""Measuring does not affect training: networks, losses and random number generators are restored bitwise.

That includes whatever a plugin changes in `eval()`, `train()` or `forward`: merged weights, buffers, counters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

from ganbench.data.batches import Batches
from ganbench.errors import PluginError, describe
from ganbench.plugin.interfaces import PLAYERS
from ganbench.runtime.networks import NetworkState
from ganbench.runtime.plugin_state import load_changed_state, saved_state
from ganbench.runtime.rng import preserve_default_rngs
from ganbench.training.step import TrainingStep

from .python_state import Snapshot, stateful_plugins, without_self_saved
from .step_state import all_rngs


@contextmanager
def untouched(step: TrainingStep, batches: Batches, warn: Callable[[str], None]) -> Iterator[None]:
    """Restore everything that the next step depends on after the block; call `warn` with what could not be restored."""
    networks = {player: NetworkState(step.networks[player]) for player in PLAYERS}
    average = NetworkState(step.ema.generator) if step.ema else None
    states = [(path, plugin, deepcopy(saved_state(plugin))) for path, plugin in stateful_plugins(step).items()]
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
                        f"{step.plugin_names.model} raised in train() when the {player} returned to training mode "
                        f"after scoring or sample images: {describe(error)}"
                    ) from error
            if average is not None:
                average.restore()
            python.restore()
            for path, plugin, plugin_state in states:
                load_changed_state(plugin, plugin_state, step.latents.device, step.plugin_names.owner(path))
            for rng, state_before in rngs:
                rng.set_state(state_before)
    changed = [f"{player}.{name}" for player, state in networks.items() for name in state.differing()]
    changed += without_self_saved(step, python.changed())
    if changed:
        warn(
            f"scoring changed {', '.join(changed[:5])}, which could not be restored: a run scored at other times will "
            f"differ. It belongs to {step.plugin_names.owner(changed[0])}"
        )
