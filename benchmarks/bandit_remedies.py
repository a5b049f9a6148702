"""Count how often a policy commits to a suboptimal arm of the bandit, for each remedy.

python -m benchmarks.bandit_remedies

Every variant is the benchmark `softmax-bandit` with noisy rewards, a large learning rate, and the same seeds. A policy
has committed to a suboptimal arm if more than half of the final probability is on suboptimal arms.
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

OPTIMIZER = "optimizer.generator"
DIFFICULT = [
    "loss.rewards=[5.0, 3.0, 1.0]",
    "loss.reward_std=3.0",
    f"{OPTIMIZER}.lr=1.0",
]  # all mean rewards are positive, and the learning rate is large
REMEDIES: dict[str, list[str]] = {
    "none: constant learning rate 1": [],
    "decaying learning rate": [f'{OPTIMIZER}.lr={{name="robbins-monro",start=1.0,power=0.6,scale_kimg=0.001}}'],
    "gradients clipped to norm 0.1": [f"{OPTIMIZER}.max_grad_norm=0.1"],
    "normalized rewards": ["loss.normalize_rewards=true"],
    "baseline": ["loss.baseline=true"],
    "baseline and normalized rewards": ["loss.baseline=true", "loss.normalize_rewards=true"],
    "Adam, learning rate 0.05": [f"{OPTIMIZER}=adam", f"{OPTIMIZER}.lr=0.05"],
    "RMSprop, learning rate 0.02": [f"{OPTIMIZER}=rmsprop", f"{OPTIMIZER}.lr=0.02"],
}


def main(
    seeds: Annotated[int, typer.Option(help="Number of seeds for each variant.")] = 400,
    steps: Annotated[int, typer.Option(help="Number of sampled arms.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    registry = Registry.load()
    table = Table("Remedy", "Committed to a suboptimal arm", "95% CI")
    results: dict[str, Any] = {}
    for remedy, overrides in REMEDIES.items():
        suboptimal = 0
        for seed in range(seeds):
            own = [f"training.seed={seed}", f"training.steps={steps}", *DIFFICULT, *overrides]
            spec = load_spec("softmax-bandit", registry, own)
            (distance,) = run_trial(spec, "cpu").final.values()
            suboptimal += distance is None or distance > 0.5
        interval = binomtest(suboptimal, seeds).proportion_ci(method="wilson")
        results[remedy] = {"overrides": overrides, "suboptimal": suboptimal, "seeds": seeds, "interval": list(interval)}
        table.add_row(
            remedy, f"{suboptimal} of {seeds} ({suboptimal / seeds:.0%})", f"{interval.low:.0%} to {interval.high:.0%}"
        )
    Console().print(table)
    if out is not None:
        environment = describe_environment("cpu").model_dump()
        write_text(out, json.dumps({"steps": steps, "environment": environment, "remedies": results}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
