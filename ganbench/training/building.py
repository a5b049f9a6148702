"""Builds the training step of a run from its spec: the networks and everything that trains them."""

from __future__ import annotations

from math import gcd
from typing import Any

import torch
from torch import nn

from ganbench.data.labels import LabelSampler, count_labels
from ganbench.errors import PluginError, UsageError
from ganbench.plugin.interfaces import PLAYERS, ImageData
from ganbench.plugin.registrations import BuildContext
from ganbench.runtime.attribution import PluginNames
from ganbench.runtime.networks import batch_norms
from ganbench.runtime.precision import Precision
from ganbench.runtime.ranks import Ranks
from ganbench.runtime.rng import make_rng
from ganbench.scoring.networks import MEMORY_FORMATS, build_networks
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.configs import PluginConfig

from .ema import EMA
from .optimizers import Clipping
from .penalties import Penalties, WeightedPenalty
from .players import NamedAugmentation
from .schedules import ScheduledValues
from .step import FakeLabels, TrainingStep, UpdateSizes


def build_step(
    spec: BenchmarkSpec,
    data: ImageData,
    context: BuildContext,
    device: torch.device,
    precision: Precision,
    schedules: ScheduledValues,
    ranks: Ranks,
) -> TrainingStep:
    """Build both networks, then everything that trains them.

    Raises `PluginError` for a plugin that raises or breaks its contract, `UsageError` for plugins that do not fit.
    """
    memory_format = MEMORY_FORMATS[spec.engine.memory_format]
    networks = build_networks(spec.model, context, memory_format)
    plugin_names = PluginNames.of(spec)
    loss = with_whole_state(spec.loss, context)
    if getattr(loss, "needs_labels", False) and not networks.conditional:
        raise UsageError(f"{plugin_names.loss} needs a conditional model, but {plugin_names.model} is not conditional")
    optimizers = {player: spec.optimizer[player] for player in PLAYERS}
    return TrainingStep(
        networks,
        loss,
        {player: config.build(context) for player, config in optimizers.items()},
        latents=make_rng(context.seed, "latents", device),
        precision=precision,
        plugin_names=plugin_names,
        memory_format=memory_format,
        update_scheme=spec.training.update_scheme,
        sizes=UpdateSizes(spec.training.batch_size // ranks.size, spec.training.generator_images // ranks.size),
        clipping={player: Clipping(each.max_grad_norm, each.clip_weights) for player, each in optimizers.items()},
        penalties=build_penalties(spec, context),
        augmentations=[
            NamedAugmentation(str(each.plugin), with_whole_state(each, context)) for each in spec.augmentations
        ],
        labels=build_fake_labels(data, spec, context, device) if networks.conditional else None,
        ema=build_average(networks.generator, spec, schedules, context),
        schedules=schedules,
        fast_dropout=spec.engine.dropout == "fast" and device.type == "cpu" and not spec.engine.compile,
        ranks=ranks,
    )


def build_penalties(spec: BenchmarkSpec, context: BuildContext) -> Penalties:
    return Penalties(
        [
            WeightedPenalty(
                str(each.id),
                str(each.plugin),
                with_whole_state(each, context),
                context.scheduled(each.weight),
                each.every,
                each.player,
            )
            for each in spec.penalties
        ]
    )


def build_average(
    generator: nn.Module, spec: BenchmarkSpec, schedules: ScheduledValues, context: BuildContext
) -> EMA | None:
    if spec.ema is None:
        return None
    half_life_kimg = schedules.schedule_of(spec.ema.half_life_kimg, context)
    values = [scheduled.value for scheduled in schedules.all]
    return EMA(generator, half_life_kimg, spec.ema.ramp, PluginNames.of(spec).model, shared=values)


def with_whole_state(config: PluginConfig, context: BuildContext) -> Any:
    """Build a plugin that may have state, on the run's device.

    Raises `PluginError` if the state can be saved, but not restored, or vice versa.
    """
    built = to_device(config.build(context), torch.device(context.device))
    own = [name for name in ("state_dict", "load_state_dict") if hasattr(built, name)]
    if len(own) == 1:
        (missing,) = {"state_dict", "load_state_dict"} - set(own)
        raise PluginError(
            f"{config.plugin} has {own[0]}, but no {missing}, so its state cannot be restored after the warm-up or "
            "when a run is resumed; define both, or neither"
        )
    return built


def to_device(plugin: Any, device: torch.device) -> Any:
    """Move the tensors of a loss, a penalty or an augmentation to the device, if it is a module."""
    return plugin.to(device) if isinstance(plugin, nn.Module) else plugin


def build_fake_labels(data: ImageData, spec: BenchmarkSpec, context: BuildContext, device: torch.device) -> FakeLabels:
    counts = count_labels(data, str(spec.dataset.plugin), str(spec.model.plugin))
    return FakeLabels(LabelSampler(counts, device), make_rng(context.seed, "labels", device))


def suspicious_combinations(spec: BenchmarkSpec, step: TrainingStep) -> list[str]:
    """Return warnings about combinations that work but are rarely intended."""
    warnings = []
    adaptive = [each.plugin for each in step.augmentations if hasattr(each.augmentation, "adapt")]
    if adaptive and not getattr(step.loss, "output_is_logit", True):
        warnings.append(
            f"{', '.join(adaptive)} adapts to the sign of the discriminator's output, but with {spec.loss.plugin} the "
            "sign does not tell real images from generated ones, so the augmentation's strength will be arbitrary; use "
            "another loss or augmentation"
        )
    for player, optimizer in step.optimizers.items():
        period = getattr(optimizer, "steps_per_update", 1)
        updates = spec.training.discriminator_steps if player == "discriminator" else 1
        warnings += [
            f"{penalty.plugin}: with every={penalty.every}, it is never due in some of the {period} steps that make up "
            f"an update of {step.plugin_names.optimizers[player]}, and may have no effect; choose a value of every "
            f"that shares no factor with {period}"
            for penalty in spec.penalties
            if penalty.player == player and gcd(penalty.every * updates, period) > updates
        ]
    if spec.engine.compile and spec.penalties:
        warnings.append(
            f"engine.compile: updates with a penalty ({', '.join(step.penalties.ids)}) run uncompiled, because "
            "torch.compile does not support the second derivatives of penalties"
        )
    on_discriminator = [penalty for penalty in spec.penalties if penalty.player == "discriminator"]
    if not on_discriminator or not batch_norms(step.networks.discriminator):
        return warnings
    penalties = ", ".join(str(penalty.plugin) for penalty in on_discriminator)
    return [
        *warnings,
        f"{penalties}: the discriminator of {step.plugin_names.model} has batch norm, so its output for an image "
        "depends on the other images of the batch, and the gradient for a single image is not well defined (Gulrajani "
        "et al. 2017, arXiv:1704.00028, section 4); use another normalization",
    ]
