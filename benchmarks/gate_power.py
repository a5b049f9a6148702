"""Simulate checks from recorded sessions of unchanged code: the false alarm rate and the power of the gate.

python -m benchmarks.gate_power

The sessions are those of the unchanged trials of `benchmarks.gate_trials`. A simulated check draws pairs (or sessions)
from them with replacement, slows head down by a known effect, and applies the gate's own decision rule.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import typer

from ganbench.gate.decision.looks import looks
from ganbench.gate.decision.statistics import paired, predicted
from ganbench.gate.decision.verdict import ALPHA, Threshold, Verdict, decide
from ganbench.gate.lengths import MAX_BLOCKS
from ganbench.spec.sections import GateOptions

from .checkout import ROOT
from .results_file import write_results

RESULTS = ROOT / "benchmarks" / "results" / "cpu-2-cores"
PLOT = ROOT / "docs" / "images" / "gate_power.png"
EFFECTS = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.075, 0.1, 0.125, 0.15, 0.2]
MARGINS = GateOptions()
Check = Callable[[np.random.Generator, float], Verdict]


def main(
    trials: Annotated[Path, typer.Option(help="Results of benchmarks.gate_trials.")] = RESULTS / "gate_trials.json",
    checks: Annotated[int, typer.Option(help="Simulated checks per kind and effect.")] = 10_000,
    seed: int = 0,
    out: Annotated[Path, typer.Option(help="Output JSON file.")] = RESULTS / "gate_power.json",
    plot: Annotated[Path, typer.Option(help="Output plot file.")] = PLOT,
) -> None:
    unchanged = [t for t in json.loads(trials.read_text(encoding="utf-8"))["trials"] if t["injected"] == 0]
    log_ratios = [ratio for trial in unchanged for ratio in trial["log_ratios"]]
    costs = [cost for t in unchanged for side in ("base", "head") for cost in t[f"{side}_seconds_per_image"]]
    print(f"{len(costs)} sessions in {len(log_ratios)} pairs, standard deviation {np.std(log_ratios, ddof=1):.2%}")
    kinds: dict[str, tuple[Check, float]] = {
        "against a revision: 2 to 8 blocks": (interleaved(log_ratios), MARGINS.time_percent),
        "against 12 stored sessions: 4 fresh": (stored(costs, 12, 4), MARGINS.baseline_time_percent),
        "against 8 stored sessions, the minimum: 4 fresh": (stored(costs, 8, 4), MARGINS.baseline_time_percent),
    }
    curves = {}
    for name, (check, margin) in kinds.items():
        draw = np.random.default_rng(seed)
        effects = sorted({*EFFECTS, 1.5 * margin / 100})
        curves[name] = {effect: shares(check, draw, effect, checks) for effect in effects}
        false, power = curves[name][0.0]["regressed"], curves[name][1.5 * margin / 100]["regressed"]
        print(f"{name}: false alarms {false:.2%}, power at {1.5 * margin:.3g}% {power:.1%}")
    setting = {"checks": checks, "seed": seed, "sessions": len(costs), "pairs": len(log_ratios)}
    write_results(out, setting, "cpu", {"curves": curves})
    draw_curves(curves, plot)


def interleaved(log_ratios: list[float]) -> Check:
    """Simulate the looks of `ganbench check --against`."""
    threshold = Threshold(MARGINS.time_percent / 100)

    def check(draw: np.random.Generator, effect: float) -> Verdict:
        taken = draw.choice(log_ratios, 2 * MAX_BLOCKS) + math.log1p(effect)
        for look in looks(MAX_BLOCKS):
            verdict = look.decide(paired(list(taken[: 2 * look.blocks])), threshold, ALPHA).verdict
            if verdict != Verdict.INCONCLUSIVE:
                break
        return verdict

    return check


def stored(costs: list[float], count: int, fresh: int) -> Check:
    """Simulate `ganbench check --baseline` with `count` stored sessions and `fresh` new ones."""
    threshold = Threshold(MARGINS.baseline_time_percent / 100)

    def check(draw: np.random.Generator, effect: float) -> Verdict:
        base, head = draw.choice(costs, count), draw.choice(costs, fresh) * (1 + effect)
        return decide(predicted(list(base), list(head)), threshold).verdict

    return check


def shares(check: Check, draw: np.random.Generator, effect: float, checks: int) -> dict[str, float]:
    """Return the share of each verdict among simulated checks."""
    verdicts = [check(draw, effect) for _ in range(checks)]
    return {verdict: verdicts.count(verdict) / checks for verdict in Verdict if verdict != Verdict.WARNING}


def draw_curves(curves: dict[str, dict[float, dict[str, float]]], path: Path) -> None:
    """Plot the share of checks that report a regression, by true effect."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, curve in curves.items():
        axes.plot([100 * effect for effect in curve], [100 * s["regressed"] for s in curve.values()], "o-", label=name)
    axes.set(xlabel="true slowdown, % of time", ylabel="checks called REGRESSED, %", ylim=(-2, 102))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    typer.run(main)
