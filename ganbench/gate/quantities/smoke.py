"""Smoke runs: train the same seed on both sides for a few steps, and compare the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganbench.gate.decision.verdict import Finding, Verdict
from ganbench.gate.side import SessionConfig, SessionError, Side, Worker
from ganbench.gate.training_runs import (
    TrainingRun,
    TrainingRuns,
    go_on_to_training,
    incomparable_scores,
    require_same_data,
    train,
    train_pair,
)
from ganbench.reporting.formatting import number
from ganbench.results.schema import LOSS_COLUMNS, metric_titles

STEPS = 40
LENGTH = {"steps": STEPS, "epochs": None, "budget_seconds": None}  # replaces that of the spec
REPEATS = 3  # of base, to see how much identical runs vary, unless they do not vary at all
ROUNDING = 0.01  # minimum width of the envelope beyond the observed values, relative to them


def train_both(
    base: Side,
    head: Side,
    config: SessionConfig,
    seed: int,
    log: Callable[[str], None],
    workers: tuple[Worker, Worker] | None = None,
) -> TrainingRuns:
    """Train the seed on both sides once, and repeat base only if they differ and base's own repeats differ too.

    `workers` are probes of both sides that can go on to this training, so that no processes need to be started.

    Raises `SessionError` if a run crashes or diverges, and `NotComparableError` if the data of the sides differs.
    """
    length_and_seed = of_seed(seed)
    trained = trained_by(workers) if workers else None
    first, other = trained or train_pair(base, head, config, length_and_seed)
    runs = TrainingRuns([checked(first, base, log)], [checked(other, head, log)])
    require_same_data(first, other)
    titles = comparable_titles(runs)
    while len(runs.base) < REPEATS and quantities(runs.head[0], titles) != quantities(runs.base[0], titles):
        runs.base.append(checked(train(base, config, length_and_seed), base, log))
        if quantities(runs.base[-1], titles) == quantities(runs.base[0], titles):
            break  # base repeats itself exactly
    return runs


def trained_by(probes: tuple[Worker, Worker]) -> tuple[TrainingRun, TrainingRun] | None:
    """Let the probes train, and return their runs; None if one fails, as if a plugin works once in a process only."""
    try:
        return go_on_to_training(probes)
    except SessionError:
        return None


def of_seed(seed: int) -> dict[str, Any]:
    """Return the fields of the spec's `training` for a smoke run with this seed."""
    return {**LENGTH, "seed": seed}


def train_repeats(side: Side, config: SessionConfig, count: int, log: Callable[[str], None]) -> list[TrainingRun]:
    """Train the benchmark's own seed repeatedly. Raises `SessionError` if a run crashes or diverges."""
    return [checked(train(side, config, LENGTH), side, log) for _ in range(count)]


def checked(run: TrainingRun, side: Side, log: Callable[[str], None]) -> TrainingRun:
    """Log a run, and return it. Raises `SessionError` if it diverged."""
    if run.status == "diverged":
        raise SessionError(f"a training run of {side.name} diverged within {STEPS} steps: {run.message}")
    log(f"smoke run of {side.name}: {format_losses(run)}")
    return run


def smoke_finding(runs: TrainingRuns) -> Finding:
    """Warn if a loss, monitor or score of head lies outside the envelope of base's repeats, or is not comparable."""
    base, head, titles = runs.base, runs.head[0], comparable_titles(runs)
    seen, now = [quantities(run, titles) for run in base], quantities(head, titles)
    outliers = [f"{name} is missing or not finite on one side" for name in seen[0].keys() ^ now.keys()]
    for name in seen[0].keys() & now.keys():
        lowest, highest = envelope([repeated[name] for repeated in seen])
        if not lowest <= now[name] <= highest:
            outliers.append(f"{name} is {now[name]:.4g}, outside {lowest:.4g} to {highest:.4g}")
    message = "training results agree for the same seed"
    if outliers:
        message = f"training results differ for the same seed: {'; '.join(sorted(outliers))}"
        message += ". Use --quality to test whether scores are worse"
    left_out = incomparable_scores(base[0], head)
    if left_out:
        message += f". Scores that cannot be compared were left out: {'; '.join(left_out.values())}"
    verdict = Verdict.WARNING if outliers or left_out else Verdict.PASS
    return Finding(verdict, (format_losses(base[0]), format_losses(head)), message)


def envelope(values: list[float]) -> tuple[float, float]:
    """Return the bounds for another repeat: the range of the values, extended by its width or by `ROUNDING`."""
    lowest, highest = min(values), max(values)
    beyond = max(highest - lowest, ROUNDING * max(abs(lowest), abs(highest)))
    return lowest - beyond, highest + beyond


def comparable_titles(runs: TrainingRuns) -> dict[str, str]:
    """Return the titles of the metrics whose scores are comparable, by id."""
    left_out = incomparable_scores(runs.base[0], runs.head[0])
    titles = metric_titles(runs.head[0].metrics)
    return {metric_id: title for metric_id, title in titles.items() if metric_id not in left_out}


def quantities(run: TrainingRun, titles: dict[str, str]) -> dict[str, float]:
    """Return the losses and monitors of the last epoch, and the scores of the metrics with these titles, by id."""
    scores = {titles[score.id]: score.value for score in run.metrics if score.id in titles}
    return {name: value for name, value in {**run.losses, **scores}.items() if value is not None}


def format_losses(run: TrainingRun) -> str:
    return ", ".join(f"{name} {number(run.losses.get(name))}" for name in LOSS_COLUMNS)
