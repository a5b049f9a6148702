"""Maps of a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ganbench.files import written_whole

from .axis import Axis
from .sweep import State, Sweep

COLOURS = {State.CONVERGED: "#5aa469", State.BOUNDED: "#e8c547", State.DIVERGED: "#c8553d"}


def save_map(sweep: Sweep, path: Path) -> None:
    """Draw where it converged, stayed bounded and diverged, with the theory's boundary over it where there is one."""
    figure = Figure(figsize=(7, 6 if len(sweep.axes) == 2 else 4.5), layout="constrained")
    axes = figure.subplots()
    growth = np.array([np.nan if point.growth is None else point.growth for point in sweep.points])
    boundary = draw_plane(axes, sweep, growth) if len(sweep.axes) == 2 else draw_line(axes, sweep, growth)
    legend: list[Patch | Line2D] = [Patch(color=COLOURS[state], label=state) for state in State]
    if boundary:
        legend.append(Line2D([], [], color="black", linestyle="--", label="boundary in theory"))
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend))
    axes.set_title(f"{sweep.benchmark}: {sweep.metric} after training")
    with written_whole(path) as part:
        figure.savefig(part, dpi=120)


def draw_plane(axes: Axes, sweep: Sweep, growth: np.ndarray) -> bool:
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
    if not crosses_one(growth):
        return False
    axes.contour(
        across.values, up.values, growth.reshape(shape).T, levels=[1.0], colors="black", linestyles="--", linewidths=1.2
    )
    return True


def draw_line(axes: Axes, sweep: Sweep, growth: np.ndarray) -> bool:
    """The metric at the end over the axis; returns whether there is a boundary to draw."""
    (axis,) = sweep.axes
    values = np.array(axis.values, dtype=float)
    for state in State:
        chosen = [(point.values[0], last) for point in sweep.points if point.state(sweep.metric) == state
                  if (last := point.trial.last[sweep.metric]) is not None]  # fmt: skip
        if chosen:
            axes.plot(*zip(*chosen, strict=True), marker="o", markersize=4, linestyle="none", color=COLOURS[state])
    first = sweep.points[0].trial.first[sweep.metric]
    if first:
        axes.axhline(first, color="grey", linewidth=0.8)
        axes.annotate("before training", (values[0], first), color="grey", fontsize=8, va="bottom")
    axes.set(xlabel=axis.path, ylabel=sweep.metric, yscale="log")
    scale(axes, axis, "x")
    if not crosses_one(growth):
        return False
    for left, right, before, after in zip(values, values[1:], growth, growth[1:], strict=False):
        if (before - 1) * (after - 1) <= 0 and before != after:
            axes.axvline(left + (right - left) * (1 - before) / (after - before), color="black", linestyle="--")
    return True


def crosses_one(growth: np.ndarray) -> bool:
    return bool(np.isfinite(growth).all() and growth.min() <= 1 <= growth.max())


def scale(axes: Axes, axis: Axis, side: str) -> None:
    if axis.logarithmic:
        axes.set(**{f"{side}scale": "log"})
