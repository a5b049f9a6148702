"""What a run over several ranks requires: equal specs and data, batches that can be split, and no CUDA graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from ganbench.errors import PluginError, UsageError
from ganbench.plugin.interfaces import PLAYERS
from ganbench.results.differences import differing_fields
from ganbench.runtime.attribution import AUGMENTATION, optimizer_path
from ganbench.runtime.networks import batch_norms
from ganbench.runtime.plugin_state import saved_state
from ganbench.runtime.ranks import Ranks
from ganbench.spec.length import Length
from ganbench.spec.processes import check_batches, check_device, check_engine_mode
from ganbench.spec.sections import EngineOptions, TrainingOptions

from .state.leaves import Leaves, first_difference, leaves_of
from .state.python_state import plugin_optimizers, stateful_plugins
from .step import TrainingStep


def check_launch(engine: EngineOptions, device: str, profile: bool, verify_engine: int | None, ranks: int) -> None:
    """Raise `UsageError` for options that a run over several ranks does not support."""
    if ranks == 1:
        return
    check_engine_mode(engine, ranks)
    check_device(device, ranks)
    if verify_engine is not None:
        raise UsageError("--verify-engine: a run over several processes uses no CUDA graph that it could verify")
    if profile:
        raise UsageError("--profile: profile a run in a single process, without torchrun")


def check_ranks(training: TrainingOptions, train_images: int, ranks: Ranks) -> None:
    """Raise `UsageError` if a batch cannot be split evenly over the ranks."""
    length = Length.of(training, train_images)
    is_skipped = training.drop_last or length.steps < length.steps_per_epoch
    last = 0 if is_skipped else train_images % training.images_per_step % training.batch_size
    check_batches(training, ranks.size, last)


def require_same_on_all_ranks(ranks: Ranks, what: str, *parts: Mapping[str, Any]) -> None:
    """Raise `UsageError` with the differences if ranks were started with different specs, data or devices."""
    fields = differing_fields(ranks.all_values({name: value for part in parts for name, value in part.items()}))
    if fields:
        listed = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in fields.items())
        raise UsageError(f"the processes of this run have different {what}: {listed}. Start all with the same command")


def own_training_warnings(step: TrainingStep) -> list[str]:
    """Return a warning about parameters that plugins train themselves, and which differ between the ranks."""
    networks = tuple(map(optimizer_path, PLAYERS))  # what wraps another, holds that too
    own = [path for path in plugin_optimizers(step) if not path.startswith(networks)]
    if step.ranks.alone or not own:
        return []
    return [
        f"{step.plugin_names.owner(own[0])}: it has an optimizer of its own ({', '.join(own)}), for which gradients "
        "are not averaged, so the parameters that it trains differ between the processes"
    ]


def running_state_warnings(step: TrainingStep, before: Mapping[str, Any], ranks: Ranks) -> list[str]:
    """Return warnings about state of losses, penalties and augmentations that each rank computes of its own images.

    `before` is the state of the step before its first steps. Counts are the same on all ranks. Adaptive augmentations
    of the spec get the logits of all ranks, and `own_training_warnings` names what plugins train.
    """
    if ranks.alone:
        return []
    saved = [before["loss"], *before["penalties"], *before["augmentations"]]
    python = step.python_state.state_dict()
    changing = []
    for (path, plugin), earlier in zip(stateful_plugins(step).items(), saved, strict=True):
        if path.startswith(AUGMENTATION) and hasattr(plugin, "adapt"):
            continue
        now, part = saved_state(plugin), "buffers" if isinstance(plugin, nn.Module) else None
        found = fractions(now[part] if part else now)
        own = fractions(earlier[part] if part else earlier)
        held = any(has_fractions(value) for place, (*_, value) in python.items() if place.startswith(f"{path}."))
        if held or first_difference(own, found) is not None:
            changing.append(path)
    return [
        f"{step.plugin_names.owner(path)}: the state of the {path} changes in training; if it is computed from images, "
        "each process has its own, of its share of a batch, and results differ from those of a single process"
        for path in changing
    ]


def has_fractions(serialized: Any) -> bool:
    """Return whether a serialized value has floating-point numbers, other than those of a random number generator."""
    kind = serialized[0] if isinstance(serialized, tuple) and serialized else None
    if kind == "array":
        return np.dtype(serialized[2]).kind == "f"
    return kind != "generator" and bool(fractions(serialized))


def fractions(state: Any) -> Leaves:
    """Return the floating-point numbers and tensors in a state, by path."""
    return {
        path: leaf
        for path, leaf in leaves_of(state).items()
        if isinstance(leaf, float) or (isinstance(leaf, Tensor) and leaf.is_floating_point())
    }


def batch_norm_warnings(step: TrainingStep) -> list[str]:
    """State what batch norm does in a run over several ranks, if there is any.

    Raises `PluginError` for `nn.SyncBatchNorm`: ranks take different numbers of steps in the warm-up, and would wait
    for one another.
    """
    size = step.sizes.discriminator
    found = [module for each in PLAYERS for module in batch_norms(step.networks[each])]
    if step.ranks.alone or not found:
        return []
    if any(isinstance(module, nn.SyncBatchNorm) for module in found):
        raise PluginError(
            f"{step.plugin_names.model}: nn.SyncBatchNorm is not supported in a run over several processes, because "
            "they take different numbers of steps in the warm-up; use nn.BatchNorm2d, whose running statistics are "
            "averaged"
        )
    return [
        f"{step.plugin_names.model}: batch norm uses the {size} images of its own process, not the whole batch, so "
        "results differ from those of a single process; running statistics are averaged after each update"
    ]
