"""A training step on torch's device `meta`, whose tensors have shapes but no values.

There, whatever a CUDA graph could not capture raises an error: reading a value on the host, and tensors on another
device. It costs no computation, and needs no GPU.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import ganbench
from ganbench.errors import UsageError, causes, describe
from ganbench.plugin.interfaces import PLAYERS, Augmentation, Batch, Loss, Networks, OptimizerFactory, Player
from ganbench.runtime.ranks import SINGLE
from ganbench.training.building import to_device
from ganbench.training.loss_contract import objective
from ganbench.training.penalties import WeightedPenalty
from ganbench.training.players import NamedAugmentation, UpdatePlayers

META = torch.device("meta")
AUTOCAST = torch.autocast
LIBRARIES = tuple(str(Path(str(module.__file__)).parent) for module in (torch, ganbench))


@dataclass(frozen=True)
class StepParts:
    """The objects of a step, built for the device `meta`."""

    networks: Networks
    loss: Loss
    penalties: Sequence[WeightedPenalty]
    augmentations: Sequence[Augmentation]
    optimizers: Mapping[Player, OptimizerFactory]


def take_without_values(parts: StepParts, batch: Batch) -> None:
    """Update both networks. Raises `AssertionError` if a value is read, or if a tensor is on another device."""
    networks = parts.networks
    for player in PLAYERS:
        networks[player].to(META)
    loss = to_device(parts.loss, META)
    augmentations = [NamedAugmentation("the augmentation", to_device(each, META)) for each in parts.augmentations]
    fake_labels = None if batch.fake_labels is None else batch.fake_labels.to(META)
    labels, latent = batch.labels.to(META), batch.latent.to(META)
    with without_reading():
        for player in PLAYERS:
            penalties = [to_device(each.penalty, META) for each in parts.penalties if each.player == player]
            image_gradients = player == "discriminator" and bool(penalties)
            batch = Batch(batch.real.to(META).requires_grad_(image_gradients), labels, latent, fake_labels)
            players = UpdatePlayers(
                networks, networks.generator, networks.discriminator, augmentations, image_gradients
            )
            value, _ = objective(loss, player)(players, batch)
            value = sum((penalty(players, batch) for penalty in penalties), value)
            trainable = [pair for pair in networks[player].named_parameters() if pair[1].requires_grad]
            if trainable:
                optimizer = parts.optimizers[player](trainable)
                value.backward()
                optimizer.step()
            if player == "discriminator":
                players.adapt_augmentations(batch, "the loss", SINGLE)


@contextmanager
def without_reading() -> Iterator[None]:
    """Raise `AssertionError`, with the plugin's line of code, if a value is read or a tensor is on another device."""
    try:
        with mock.patch.object(torch, "autocast", autocast):
            yield
    except (AssertionError, UsageError):
        raise
    except Exception as error:
        first = list(causes(error))[-1]
        reason = describe(first).partition(". ")[0].partition("; ")[0]
        raise AssertionError(
            f"expected all tensors on the device of the images, and no value that is read there, got {reason}"
            f"{line_of(first)}"
        ) from error


def autocast(device_type: str, *arguments: Any, **options: Any) -> AbstractContextManager[Any]:
    """Return torch's autocast, or nothing for the device `meta`, which torch's autocast does not support."""
    return nullcontext() if device_type == META.type else AUTOCAST(device_type, *arguments, **options)


def line_of(error: BaseException) -> str:
    """Return the innermost line of a plugin in the error's traceback, as " (file.py, line 7)"."""
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
