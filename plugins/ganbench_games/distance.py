"""How far the players are from where the game is solved."""

from __future__ import annotations

from typing import Any

from ganbench import Loss, Networks, UsageError


class Distance:
    """What the loss says of it: sqrt(x^2 + y^2) for two numbers, the probability of a worse arm for a policy."""

    label = "distance to the solution"
    higher_is_better = False
    protocol: dict[str, Any] = {}

    def measure(self, networks: Networks, loss: Loss) -> float:
        """At least 0. Raises `UsageError` for a loss that knows no solution."""
        if not hasattr(loss, "distance"):
            raise UsageError(f"metric 'distance': the loss {type(loss).__name__} knows no solution to be near to")
        return loss.distance(networks).item()
