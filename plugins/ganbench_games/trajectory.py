"""Plots of the trajectory of a game."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganbench import Callback, Result

MAX_VIEW = 8.0  # the plot extends up to this multiple of the initial distance; diverging trajectories leave it


class Trajectory(Callback):
    """Plots trajectory.png in the run directory at the end of a game; does nothing for other losses."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "trajectory.png"

    def on_run_end(self, result: Result) -> None:
        loss = result.spec["loss"]
        if not result.history:
            return
        if loss["name"] == "policy-gradient":
            plot_policy(result.history, loss["rewards"], sampled_per_image(result.spec["training"]), self.file)
        elif loss["name"] in VALUES:
            value, names = VALUES[loss["name"]]
            plot_path(result.history, lambda x, y: value(loss, x, y), names, self.file)


# for each game of two scalars: f as a function of the options and both scalars, and the columns of the history
VALUES: dict[str, tuple[Callable[[dict[str, Any], Any, Any], Any], tuple[str, str]]] = {
    "quadratic-saddle": (lambda options, x, y: options["a"] * x * x - options["b"] * y * y, ("x", "y")),
    "bilinear": (lambda options, x, y: options["c"] * x * y, ("x", "y")),
    "dirac": (lambda _, point, slope: point * slope, ("point", "slope")),
}


def plot_path(history: Sequence[Any], value: Callable[[Any, Any], Any], names: tuple[str, str], path: Path) -> None:
    """Plot the path of two scalars over the contour lines of `value`."""
    points = np.array([[row.monitors[name] for name in names] for row in history], dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    if len(points):
        start, largest = np.abs(points[0]).max(), np.abs(points).max()
        view = 1.1 * (min(largest, MAX_VIEW * start) or 1.0)
        grid_x, grid_y = np.meshgrid(np.linspace(-view, view, 201), np.linspace(-view, view, 201))
        axes.contour(grid_x, grid_y, value(grid_x, grid_y), levels=21, cmap="coolwarm", linewidths=0.6, alpha=0.7)
        axes.plot(*points.T, color="black", linewidth=0.8, marker=".", markersize=3)
        axes.plot(*points[0], marker="o", color="tab:green", label="start")
        axes.plot(0, 0, marker="*", markersize=12, color="tab:red", label="solution")
        axes.set(xlim=(-view, view), ylim=(-view, view))
        axes.legend()
    axes.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    figure.savefig(path, dpi=120)


def sampled_per_image(training: Mapping[str, Any]) -> float:
    """Return how many arms the policy samples in its updates for each real image shown to the discriminator."""
    batch_size = training["batch_size"]
    return (training.get("generator_batch_size") or batch_size) / (batch_size * training["discriminator_steps"])


def plot_policy(history: Sequence[Any], rewards: Sequence[float], sampled: float, path: Path) -> None:
    """Plot the probabilities and preferences of the arms, and the cumulative regret, by epoch.

    `sampled` is the number of sampled arms for each real image.
    """
    figure = Figure(figsize=(8, 8), layout="constrained")
    probabilities, preferences, regret = figure.subplots(3, sharex=True)
    epochs = [row.epoch for row in history]
    for arm, reward in enumerate(rewards, start=1):
        for axes, name in ((probabilities, f"pi_{arm}"), (preferences, f"theta_{arm}")):
            values = [np.nan if row.monitors[name] is None else row.monitors[name] for row in history]
            axes.plot(epochs, values, label=f"arm {arm}, reward {reward:g}")
    regrets = (sampled * row.images * (row.monitors["regret"] or 0.0) for row in history)
    regret.plot(epochs, list(accumulate(regrets)), color="black")
    probabilities.set(ylabel="probability", ylim=(-0.02, 1.02))
    probabilities.legend()
    preferences.set(ylabel="preference theta")
    regret.set(ylabel="cumulative regret", xlabel="epoch")
    for axes in (probabilities, preferences, regret):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
