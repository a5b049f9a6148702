"""What is known of the update rules near (0, 0): by which factor a step multiplies the distance to it.

A game of two numbers w = (x, y) has, to first order, gradients g = J w; each rule is then a linear map of w, and of
what the rule remembers. The factor is that map's spectral radius: below 1 it converges, above it diverges. See
Gidel et al. 2019 (arXiv:1802.10551) and Mescheder et al. 2018 (arXiv:1801.04406).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Jacobian = Callable[[Any], Sequence[Sequence[float]]]  # of the loss's options


def growth_by(jacobian: Jacobian) -> Callable[[Any], float | None]:
    """For a `LossPlugin`: the growth in a benchmark's spec, None for rules that theory is silent about here."""

    def growth(spec: Any) -> float | None:
        x, y = (told(player) for player in (spec.optimizer.generator, spec.optimizer.discriminator))
        rules = {(each.pop("name"), *sorted(each)) for each in (x, y)}
        map_of = MAPS.get((rules.pop(), spec.training.turns)) if len(rules) == 1 else None
        if map_of is None:
            return None
        return map_of(np.diag([x["lr"], y["lr"]]), np.asarray(jacobian(spec.loss.options), dtype=float))

    return growth


def told(optimizer: Any) -> dict[str, Any]:
    """What of an optimiser's options is not left at nothing."""
    return {name: value for name, value in optimizer.model_dump().items() if value}


def radius(matrix: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def simultaneous_descent(steps: np.ndarray, jacobian: np.ndarray) -> float:
    """w <- (1 - D J) w."""
    return radius(np.eye(2) - steps @ jacobian)


def alternating_descent(steps: np.ndarray, jacobian: np.ndarray) -> float:
    """y moves first, and x sees it."""
    first, second = (np.eye(2) - np.diag(chosen) @ steps @ jacobian for chosen in ([0, 1], [1, 0]))
    return radius(second @ first)


def extragradient(steps: np.ndarray, jacobian: np.ndarray) -> float:
    """w <- w - D J (1 - D J) w, in two steps."""
    moved = steps @ jacobian
    return radius(np.eye(2) - moved @ (np.eye(2) - moved)) ** 0.5


def optimistic(steps: np.ndarray, jacobian: np.ndarray) -> float:
    """w <- w - 2 D J w + D J w', of (w, w')."""
    moved = steps @ jacobian
    return radius(np.block([[np.eye(2) - 2 * moved, moved], [np.eye(2), np.zeros((2, 2))]]))


MAPS = {  # by rule, the only option that it may have, and by turns
    (("gradient-descent", "lr"), "simultaneous"): simultaneous_descent,
    (("gradient-descent", "lr"), "alternating"): alternating_descent,
    (("sgd", "lr"), "simultaneous"): simultaneous_descent,
    (("sgd", "lr"), "alternating"): alternating_descent,
    (("extragradient", "lr"), "simultaneous"): extragradient,
    (("optimistic", "lr"), "simultaneous"): optimistic,
}
