"""Maps of a sweep."""

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
from .sweep import UNDECIDED, State, Sweep

COLOURS = {State.CONVERGED: "#5aa469", State.BOUNDED: "#e8c547", State.DIVERGED: "#c8553d"}


def save_map(sweep: Sweep, path: Path) -> None:
    """Draw where it converged, stayed bounded and diverged, with the theory's boundary over it where there is one."""
    figure = Figure(figsize=(7, 6 if len(sweep.axes) == 2 else 4.5), layout="constrained")
    axes = figure.subplots()
    boundary = draw_plane(axes, sweep) if len(sweep.axes) == 2 else draw_line(axes, sweep)
    legend: list[Patch | Line2D] = [Patch(color=COLOURS[state], label=state) for state in State]
    if boundary:
        legend.append(Line2D([], [], color="black", linestyle="--", label="boundary in theory"))
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend))
    axes.set_title(f"{sweep.benchmark}: {sweep.metric} after training")
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)


def draw_plane(axes: Axes, sweep: Sweep) -> bool:
    """A field a point; returns whether there is a boundary to draw."""
    across, up = sweep.axes
    shape = (len(across.values), len(up.values))
    order = list(State)
    states = np.array([order.index(state) for state in sweep.states()]).reshape(shape)
    colours = ListedColormap([COLOURS[state] for state in order])
    axes.pcolormesh(across.values, up.values, states.T, cmap=colours, vmin=0, vmax=len(order) - 1, shading="nearest")
    scale(axes, across, "x")
    scale(axes, up, "y")
    axes.set(xlabel=across.path, ylabel=up.path)
    growth = growth_of(sweep)
    if (level := boundary_of(growth)) is None:
        return False
    heights = growth.reshape(shape).T
    axes.contour(across.values, up.values, heights, levels=[level], colors="black", linestyles="--", linewidths=1.2)
    return True


def draw_line(axes: Axes, sweep: Sweep) -> bool:
    """The metric at the end over the axis; returns whether there is a boundary to draw."""
    (axis,) = sweep.axes
    values = np.array(axis.values, dtype=float)
    for state in State:
        chosen = [(point.values[0], last) for point, found in zip(sweep.points, sweep.states(), strict=True)
                  if found == state and (last := point.trial.last[sweep.metric]) is not None]  # fmt: skip
        if chosen:
            axes.plot(*zip(*chosen, strict=True), marker="o", markersize=4, linestyle="none", color=COLOURS[state])
    if unscored := [point.values[0] for point in sweep.points if point.trial.last[sweep.metric] is None]:
        heights, at_the_top = [0.97] * len(unscored), axes.get_xaxis_transform()
        axes.plot(unscored, heights, "x", color=COLOURS[State.DIVERGED], transform=at_the_top)
    first = sweep.points[0].trial.first[sweep.metric]
    if first:
        axes.axhline(first, color="grey", linewidth=0.8)
        axes.annotate("before training", (values[0], first), color="grey", fontsize=8, va="bottom")
    axes.set(xlabel=axis.path, ylabel=sweep.metric, yscale="log")
    scale(axes, axis, "x")
    growth = growth_of(sweep)
    if (level := boundary_of(growth)) is None:
        return False
    for left, right, before, after in zip(values, values[1:], growth, growth[1:], strict=False):
        if np.isfinite([before, after]).all() and (before < level) != (after < level):
            axes.axvline(left + (right - left) * (level - before) / (after - before), color="black", linestyle="--")
    return True


def growth_of(sweep: Sweep) -> np.ndarray:
    """Of each point, as theory has it; NaN where it is silent."""
    return np.array([np.nan if point.growth is None else point.growth for point in sweep.points])


def boundary_of(growth: np.ndarray) -> float | None:
    """The growth at which the boundary is drawn: hardly above 1, where it may stay at 1; None if none crosses it."""
    known = growth[np.isfinite(growth)]
    for level in (1 + UNDECIDED, 1 - UNDECIDED):
        if known.size and known.min() < level < known.max():
            return level
    return None


def scale(axes: Axes, axis: Axis, side: str) -> None:
    if axis.logarithmic:
        axes.set(**{f"{side}scale": "log"})
