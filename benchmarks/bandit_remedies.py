"""How often a policy commits to a poor arm of the bandit, by what is done against it.

python -m benchmarks.bandit_remedies

Every variant is the benchmark `softmax-bandit` with noisy rewards, a step that is too large, and the same seeds. A
policy has committed to a poor arm if it ends with more than half of its probability off the best one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from ganbench.plugin.registry import Registry
from ganbench.results.environment import describe_environment
from ganbench.spec.loading import load_spec
from ganbench.system.files import write_text
from ganbench.training.trial import run_trial

OWN = "optimizer.generator"
HARD = [
    "loss.rewards=[5.0, 3.0, 1.0]",
    "loss.reward_std=3.0",
    f"{OWN}.lr=1.0",
]  # rewards all positive on average, a large step
REMEDIES: dict[str, list[str]] = {
    "none: a constant step of 1": [],
    "a decaying step": [f'{OWN}.lr={{name="robbins-monro",start=1.0,power=0.6,scale_kimg=0.001}}'],
    "clipping to 0.1": [f"{OWN}.max_grad_norm=0.1"],
    "normalised rewards": ["loss.normalize_rewards=true"],
    "a baseline": ["loss.baseline=true"],
    "a baseline, normalised": ["loss.baseline=true", "loss.normalize_rewards=true"],
    "Adam, step 0.05": [f"{OWN}=adam", f"{OWN}.lr=0.05"],
    "RMSprop, step 0.02": [f"{OWN}=rmsprop", f"{OWN}.lr=0.02"],
}


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds each variant gets.")] = 400,
    steps: Annotated[int, typer.Option(help="How many arms are drawn.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Where to write the figures as JSON.")] = None,
) -> None:
    registry = Registry.load()
    table = Table("Remedy", "Committed to a poor arm", "95 % interval")
    figures: dict[str, Any] = {}
    for remedy, overrides in REMEDIES.items():
        poor = 0
        for seed in range(seeds):
            own = [f"training.seed={seed}", f"training.steps={steps}", *HARD, *overrides]
            spec, _ = load_spec("softmax-bandit", registry, own)
            (distance,) = run_trial(spec, "cpu").final.values()
            poor += distance is None or distance > 0.5
        interval = binomtest(poor, seeds).proportion_ci(method="wilson")
        figures[remedy] = {"overrides": overrides, "poor": poor, "seeds": seeds, "interval": list(interval)}
        table.add_row(remedy, f"{poor} of {seeds} ({poor / seeds:.0%})", f"{interval.low:.0%} to {interval.high:.0%}")
    Console().print(table)
    if out is not None:
        environment = describe_environment("cpu").model_dump()
        write_text(out, json.dumps({"steps": steps, "environment": environment, "remedies": figures}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
