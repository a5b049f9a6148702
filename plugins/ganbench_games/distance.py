"""The distance of the players from the solution of the game."""

from __future__ import annotations

from typing import Any

from ganbench import Loss, Networks, UsageError


class Distance:
    """The distance that the loss defines: sqrt(x^2 + y^2) for two scalars, P(suboptimal arm) for a policy."""

    label = "distance to the solution"
    higher_is_better = False
    protocol: dict[str, Any] = {}

    def measure(self, networks: Networks, loss: Loss) -> float:
        """Return the distance, at least 0. Raises `UsageError` if the loss does not define one."""
        if not hasattr(loss, "distance"):
            raise UsageError(
                f"metric 'distance': loss {type(loss).__name__} does not define distance(networks); use another loss, "
                "or remove the metric"
            )
        return loss.distance(networks).item()
