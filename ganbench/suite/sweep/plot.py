"""Plots of a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ganbench.system.files import atomic_write

from .axis import Axis
from .sweep import RATE_TOLERANCE, Outcome, Sweep

COLORS = {Outcome.CONVERGED: "#5aa469", Outcome.BOUNDED: "#e8c547", Outcome.DIVERGED: "#c8553d"}


def save_plot(sweep: Sweep, path: Path) -> None:
    """Draw where training converged, stayed bounded and diverged, and the theoretical boundary if there is one."""
    figure = Figure(figsize=(7, 6 if len(sweep.axes) == 2 else 4.5), layout="constrained")
    axes = figure.subplots()
    boundary = draw_plane(axes, sweep) if len(sweep.axes) == 2 else draw_line(axes, sweep)
    legend: list[Patch | Line2D] = [Patch(color=COLORS[outcome], label=outcome) for outcome in Outcome]
    if boundary:
        legend.append(Line2D([], [], color="black", linestyle="--", label="theoretical boundary"))
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend))
    axes.set_title(f"{sweep.benchmark}: {sweep.metric} after training")
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)


def draw_plane(axes: Axes, sweep: Sweep) -> bool:
    """Draw a colored cell per point; return whether a theoretical boundary was drawn."""
    across, up = sweep.axes
    shape = (len(across.values), len(up.values))
    order = list(Outcome)
    outcomes = np.array([order.index(outcome) for outcome in sweep.outcomes()]).reshape(shape)
    colors = ListedColormap([COLORS[outcome] for outcome in order])
    axes.pcolormesh(across.values, up.values, outcomes.T, cmap=colors, vmin=0, vmax=len(order) - 1, shading="nearest")
    set_scale(axes, across, "x")
    set_scale(axes, up, "y")
    axes.set(xlabel=across.path, ylabel=up.path)
    rates = convergence_rates(sweep)
    if (level := boundary_level(rates)) is None:
        return False
    heights = rates.reshape(shape).T
    axes.contour(across.values, up.values, heights, levels=[level], colors="black", linestyles="--", linewidths=1.2)
    return True


def draw_line(axes: Axes, sweep: Sweep) -> bool:
    """Draw the final metric over the axis; return whether a theoretical boundary was drawn."""
    (axis,) = sweep.axes
    values = np.array(axis.values, dtype=float)
    initial = sweep.points[0].trial.initial[sweep.metric]
    scores = [initial, *(point.trial.final[sweep.metric] for point in sweep.points)]
    known = [score for score in scores if score is not None]
    smallest = min((abs(score) for score in known if score), default=1.0)
    if min(known, default=1.0) <= 0:  # no logarithm, so the scale is linear between `smallest` and its negative
        axes.set_yscale("symlog", linthresh=smallest)
    else:
        axes.set_yscale("log")
    for outcome in Outcome:
        selected = [(point.values[0], final) for point, found in zip(sweep.points, sweep.outcomes(), strict=True)
                    if found == outcome and (final := point.trial.final[sweep.metric]) is not None]  # fmt: skip
        if selected:
            axes.plot(*zip(*selected, strict=True), marker="o", markersize=4, linestyle="none", color=COLORS[outcome])
    if unscored := [point.values[0] for point in sweep.points if point.trial.final[sweep.metric] is None]:
        heights, at_top = [0.97] * len(unscored), axes.get_xaxis_transform()
        axes.plot(unscored, heights, "x", color=COLORS[Outcome.DIVERGED], transform=at_top)
    if initial is not None:
        axes.axhline(initial, color="gray", linewidth=0.8)
        axes.annotate("before training", (values[0], initial), color="gray", fontsize=8, va="bottom")
    if min(known, default=1.0) == 0:
        axes.set_ylim(bottom=-smallest / 4)  # so that 0 is next to the edge
    axes.set(xlabel=axis.path, ylabel=sweep.metric)
    set_scale(axes, axis, "x")
    rates = convergence_rates(sweep)
    if (level := boundary_level(rates)) is None:
        return False
    for left, right, before, after in zip(values, values[1:], rates, rates[1:], strict=False):
        if np.isfinite([before, after]).all() and (before < level) != (after < level):
            axes.axvline(left + (right - left) * (level - before) / (after - before), color="black", linestyle="--")
    return True


def convergence_rates(sweep: Sweep) -> np.ndarray:
    """Return the theoretical convergence rate of each point; NaN if there is none."""
    return np.array([np.nan if point.convergence_rate is None else point.convergence_rate for point in sweep.points])


def boundary_level(rates: np.ndarray) -> float | None:
    """Return a level next to 1 with rates on both sides, preferably just above 1; None if there is none."""
    known = rates[np.isfinite(rates)]
    for level in (1 + RATE_TOLERANCE, 1 - RATE_TOLERANCE):
        if known.size and known.min() < level < known.max():
            return level
    return None


def set_scale(axes: Axes, axis: Axis, side: str) -> None:
    if axis.logarithmic:
        axes.set(**{f"{side}scale": "log"})
