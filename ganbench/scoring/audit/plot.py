"""The picture of an audit."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ganbench.system.files import atomic_write

from .audit import Audit

COLORS = {"worse": "#5aa469", "not detected": "#e8c547", "better": "#c8553d", "no score": "lightgray"}


def save_plot(audit: Audit, path: Path) -> None:
    """Draw, for each value of the metric, the score of real images by their number, and those of flawed images."""
    names = list(audit.directions)
    figure = Figure(figsize=(11, 5 * len(names)), layout="constrained")
    for row, (left, right) in enumerate(figure.subplots(len(names), 2, squeeze=False, width_ratios=(2, 3))):
        name = names[row]
        counts = list(audit.curve)
        means = [audit.curve[count].mean(name) for count in counts]
        spreads = [audit.curve[count].std(name) for count in counts]
        left.errorbar(counts, means, spreads, marker="o", capsize=3)
        left.set(xscale="log", xlabel="real images", ylabel=name or "score", title="real images, by their number")
        left.set_xticks(counts, [f"{count:,}" for count in counts])
        left.minorticks_off()
        left.grid(alpha=0.3)
        labels = [f"{flaw.name}, {flaw.strength}" for flaw in audit.flaws]
        right.barh(
            labels,
            [flaw.scores.mean(name) for flaw in audit.flaws],
            xerr=[flaw.scores.std(name) for flaw in audit.flaws],
            color=[COLORS[audit.verdict(flaw, name)] for flaw in audit.flaws],
        )
        right.axvline(audit.real.mean(name), color="black", linestyle="--")
        right.invert_yaxis()
        means = [flaw.scores.mean(name) for flaw in audit.flaws]
        if 0 < 100 * min(means) < max(means):
            right.set_xscale("log")
        right.set(xlabel=name or "score", title="images with flaws; dashed: real images")
    handles = [Patch(color=color, label=f"rated: {verdict}") for verdict, color in COLORS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    figure.suptitle(audit.label)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)
