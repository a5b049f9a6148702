"""What is known of the update rules near (0, 0): by which factor a step multiplies the distance to it.

A game of two numbers w = (x, y) has, to first order, gradients g = J w; each rule is then a linear map of w, and of
what the rule remembers. The factor is that map's spectral radius, as far as the start has a part in it: below 1 it
converges, above it diverges. See
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
        map_of = MAPS.get((rules.pop(), spec.training.update_scheme)) if len(rules) == 1 else None
        names = STARTS.get(spec.model.name)
        constant = all(isinstance(each["lr"], float) for each in (x, y))
        if map_of is None or names is None or not constant:
            return None
        start = np.array([getattr(spec.model.options, name) for name in names])
        return map_of(np.diag([x["lr"], y["lr"]]), np.asarray(jacobian(spec.loss.options), dtype=float), start)

    return growth


def sign(options: Any) -> int:
    """Of f in the discriminator's loss."""
    return -1 if options.ascend else 1


def quadratic_jacobian(options: Any) -> list[list[float]]:
    """Of f = a x^2 - b y^2."""
    return [[2 * options.a, 0], [0, -sign(options) * 2 * options.b]]


def bilinear_jacobian(options: Any) -> list[list[float]]:
    """Of f = c x y."""
    return [[0, options.c], [sign(options) * options.c, 0]]


def dirac_jacobian(options: Any) -> list[list[float]]:
    """At (0, 0): the derivative of a logistic loss at logit 0 is 1/2, of the others 1."""
    slope = 0.5 if options.objective in ("non-saturating", "saturating") else 1.0
    return [[0, -slope], [slope, options.penalty]]


def told(optimizer: Any) -> dict[str, Any]:
    """Name and learning rate of an optimiser, and what of its other options is not left at nothing."""
    return {name: value for name, value in optimizer.model_dump().items() if value or name == "lr"}


def radius(matrix: np.ndarray, start: np.ndarray) -> float | None:
    """The largest absolute eigenvalue whose eigenvector has a part in the start; None if the start is 0."""
    values, vectors = np.linalg.eig(matrix)
    parts = np.abs(np.linalg.lstsq(vectors, start.astype(complex), rcond=None)[0])
    taking_part = parts > 1e-12 * parts.max()
    return float(np.abs(values[taking_part]).max()) if taking_part.any() else None


def simultaneous_descent(steps: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """w <- (1 - D J) w."""
    return radius(np.eye(2) - steps @ jacobian, start)


def alternating_descent(steps: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """y moves first, and x sees it."""
    first, second = (np.eye(2) - np.diag(chosen) @ steps @ jacobian for chosen in ([0, 1], [1, 0]))
    return radius(second @ first, start)


def extragradient(steps: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """w <- w - D J (1 - D J) w, in two steps."""
    moved = steps @ jacobian
    in_two = radius(np.eye(2) - moved @ (np.eye(2) - moved), start)
    return None if in_two is None else in_two**0.5


def optimistic(steps: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """w <- w - 2 D J w + D J w', of (w, w'), w' being w at the start."""
    moved = steps @ jacobian
    return radius(
        np.block([[np.eye(2) - 2 * moved, moved], [np.eye(2), np.zeros((2, 2))]]), np.concatenate([start, start])
    )


STARTS = {"scalar-players": ("x", "y"), "dirac": ("point", "slope")}  # the models' options, generator first
MAPS = {  # by rule, the only option that it may have, and by turns
    (("gradient-descent", "lr"), "simultaneous"): simultaneous_descent,
    (("gradient-descent", "lr"), "alternating"): alternating_descent,
    (("sgd", "lr"), "simultaneous"): simultaneous_descent,
    (("sgd", "lr"), "alternating"): alternating_descent,
    (("extragradient", "lr"), "simultaneous"): extragradient,
    (("optimistic", "lr"), "simultaneous"): optimistic,
}
