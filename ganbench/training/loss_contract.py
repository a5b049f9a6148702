"""The methods of a loss, what they must return, and what is wrong with a value that breaks this contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ganbench.data.contract import described
from ganbench.plugin.interfaces import Loss, Player

PAIR = "expected a pair of the loss, a scalar tensor, and a mapping from names to scalar tensors to monitor"


def objective(loss: Loss, player: Player) -> Callable[..., Any]:
    """Return the method that computes the loss of a network."""
    return loss.generator_loss if player == "generator" else loss.discriminator_loss


def invalid_return(returned: Any) -> str | None:
    """Return what is wrong with the value that a loss's method returned; None if nothing is."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        return f"{described(returned)}; {PAIR}"
    loss, monitors = returned
    if not isinstance(loss, Tensor):
        return f"{described(loss)} as the loss (.item() and float() detach it from the parameters); {PAIR}"
    if loss.dim() or not loss.is_floating_point():
        return f"{described(loss)} as the loss; {PAIR}"
    if not isinstance(monitors, Mapping):
        return f"{described(monitors)} as monitors; {PAIR}"
    return invalid_scalar(monitors)


def invalid_scalar(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first loss or monitor that is not a scalar tensor; None if all are."""
    for name, value in values.items():
        if not isinstance(value, Tensor) or value.dim():
            return f"{described(value)} as {name!r}; expected a scalar tensor, of shape ()"
    return None
