"""Convergence rates of update rules near (0, 0): the factor by which a step multiplies the distance to the solution.

To first order, a game of two scalars w = (x, y) has gradients g = J w, so each update rule is a linear map of w and of
the rule's state. The rate is the spectral radius of that map, restricted to the eigenvectors present in the initial
point: the game converges below 1 and diverges above. See Gidel et al. 2019 (arXiv:1802.10551) and Mescheder et al. 2018
(arXiv:1801.04406).
"""

from __future__ import annotations

from typing import Any

import numpy as np


def convergence_rate(spec: Any) -> float | None:
    """Return the rate of a game's spec, for `ganbench sweep --theory`; None for games and rules not covered here."""
    if spec.penalties or spec.training.discriminator_steps != 1:
        return None
    x, y = (nonzero_options(player) for player in (spec.optimizer.generator, spec.optimizer.discriminator))
    rules = {(options.pop("name"), *sorted(options)) for options in (x, y)}
    rate_of_rule = RATES.get((rules.pop(), spec.training.update_scheme)) if len(rules) == 1 else None
    jacobian, names = JACOBIANS.get(spec.loss.name), START_OPTIONS.get(spec.model.name)
    constant = all(isinstance(options["lr"], float) for options in (x, y))
    if rate_of_rule is None or jacobian is None or names is None or not constant:
        return None
    start = np.array([getattr(spec.model.options, name) for name in names])
    return rate_of_rule(np.diag([x["lr"], y["lr"]]), np.asarray(jacobian(spec.loss.options), dtype=float), start)


def sign(options: Any) -> int:
    """Return the sign of f in the discriminator's loss."""
    return -1 if options.ascend else 1


def quadratic_jacobian(options: Any) -> list[list[float]]:
    """Return J for f = a x^2 - b y^2."""
    return [[2 * options.a, 0], [0, -sign(options) * 2 * options.b]]


def bilinear_jacobian(options: Any) -> list[list[float]]:
    """Return J for f = c x y."""
    return [[0, options.c], [sign(options) * options.c, 0]]


def dirac_jacobian(options: Any) -> list[list[float]]:
    """Return J at (0, 0): the derivative of a logistic loss at logit 0 is 1/2, that of the others is 1."""
    slope = 0.5 if options.objective in ("non-saturating", "saturating") else 1.0
    return [[0, -slope], [slope, options.r1_gamma]]


def nonzero_options(optimizer: Any) -> dict[str, Any]:
    """Return name, learning rate and all other options that are set and nonzero."""
    return {name: value for name, value in optimizer.model_dump().items() if value or name == "lr"}


def spectral_radius(matrix: np.ndarray, start: np.ndarray) -> float | None:
    """Return the largest absolute eigenvalue among the eigenvectors present in `start`; None if `start` is 0."""
    values, vectors = np.linalg.eig(matrix)
    coefficients = np.abs(np.linalg.lstsq(vectors, start.astype(complex), rcond=None)[0])
    present = coefficients > 1e-12 * coefficients.max()
    return float(np.abs(values[present]).max()) if present.any() else None


def simultaneous_descent(rates: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """Return the rate of w <- (1 - D J) w, where D has the learning rates on its diagonal."""
    return spectral_radius(np.eye(2) - rates @ jacobian, start)


def alternating_descent(rates: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """Return the rate of updating y first, then x at the new y."""
    first, second = (np.eye(2) - np.diag(updated) @ rates @ jacobian for updated in ([0, 1], [1, 0]))
    return spectral_radius(second @ first, start)


def extragradient(rates: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """Return the rate per step of w <- w - D J (1 - D J) w, which takes two steps."""
    scaled = rates @ jacobian
    per_update = spectral_radius(np.eye(2) - scaled @ (np.eye(2) - scaled), start)
    return None if per_update is None else per_update**0.5


def optimistic(rates: np.ndarray, jacobian: np.ndarray, start: np.ndarray) -> float | None:
    """Return the rate of w <- w - 2 D J w + D J w', where w' is the previous w (initially w itself)."""
    scaled = rates @ jacobian
    return spectral_radius(
        np.block([[np.eye(2) - 2 * scaled, scaled], [np.eye(2), np.zeros((2, 2))]]), np.concatenate([start, start])
    )


JACOBIANS = {"quadratic-saddle": quadratic_jacobian, "bilinear": bilinear_jacobian, "dirac": dirac_jacobian}  # by loss
START_OPTIONS = {"scalar-players": ("x", "y"), "dirac": ("point", "slope")}  # model options, generator first
RATES = {  # by the rule with its only allowed option, and the update scheme
    (("gradient-descent", "lr"), "simultaneous"): simultaneous_descent,
    (("gradient-descent", "lr"), "alternating"): alternating_descent,
    (("sgd", "lr"), "simultaneous"): simultaneous_descent,
    (("sgd", "lr"), "alternating"): alternating_descent,
    (("extragradient", "lr"), "simultaneous"): extragradient,
    (("optimistic", "lr"), "simultaneous"): optimistic,
}
