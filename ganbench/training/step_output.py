"""The values that a step reports: both losses, the loss's monitors and the penalties, each with its own name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.errors import PluginError, UsageError, describe
from ganbench.plugin.interfaces import Player
from ganbench.results.schema import LOSS_COLUMNS

from .loss_contract import invalid_scalar


@dataclass(frozen=True)
class StepOutput:
    """The values a step reports, on the device; they are not read within a timing window."""

    names: tuple[str, ...]  # d_loss, g_loss, the loss's monitors, then the penalties
    values: Tensor  # float32, one per name; overwritten by the next step of some engines


def join_values(
    losses: Mapping[Player, Sequence[Tensor]],
    monitors: Mapping[Player, Mapping[str, Tensor]],
    penalties: Sequence[str],
    penalty_values: Tensor,
    loss: str,
) -> StepOutput:
    """Return a step's output: the mean loss of each network's updates, the monitors of its last one, the penalties.

    `penalties` are their ids, and `loss` is the name of the loss's plugin. Raises `PluginError` for values that are not
    scalars, and `UsageError` or `PluginError` for a name that is reported twice.
    """
    means = [each[0] if len(each) == 1 else torch.stack(list(each)).mean() for each in losses.values()]
    reported = {name: value for each in monitors.values() for name, value in each.items()}
    require_different_names(monitors, penalties, loss)
    try:
        values = torch.stack([value.float() for value in (*means, *reported.values())])
    except Exception as error:
        cause = invalid_scalar({**dict(zip(LOSS_COLUMNS, means, strict=True)), **reported}) or describe(error)
        raise PluginError(f"{loss}: {cause}") from error
    if penalties:
        values = torch.cat([values, penalty_values])
    return StepOutput((*LOSS_COLUMNS, *reported, *penalties), values)


def require_different_names(
    monitors: Mapping[Player, Mapping[str, Tensor]], penalties: Sequence[str], loss: str
) -> None:
    """Raise an error if two values would be in one column of the history, where one would hide the other."""
    seen: set[str] = set()
    for reported in monitors.values():
        if twice := sorted(seen & reported.keys()):
            raise PluginError(
                f"{loss}: discriminator_loss and generator_loss both have a monitor called {twice[0]}, and the history "
                "has one column of this name; rename one of them"
            )
        seen |= reported.keys()
    if taken := sorted(seen & set(penalties)):
        number = list(penalties).index(taken[0])
        raise UsageError(
            f"{loss} has a monitor called {taken[0]}, which is also the name of a penalty's column in the history; "
            f"rename that column, for example with -o penalties.{number}.id={taken[0]}-penalty"
        )
