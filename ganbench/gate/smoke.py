"""Smoke runs: train the same seed on both sides for a few steps, and compare the results."""

from __future__ import annotations

from collections.abc import Callable

from ganbench.reporting.formatting import number
from ganbench.results.schema import LOSS_COLUMNS, metric_titles

from .side import SessionConfig, SessionError, Side
from .training_runs import (
    TrainingRun,
    TrainingRuns,
    require_same_protocol,
    train,
    train_pair,
)
from .verdict import Finding, Verdict

STEPS = 40
LENGTH = {"steps": STEPS, "epochs": None, "budget_seconds": None}  # replaces that of the spec
REPEATS = 3  # of base, to see how much identical runs vary, unless they do not vary at all
ROUNDING = 0.01  # minimum width of the envelope beyond the observed values, relative to them


def train_both(base: Side, head: Side, config: SessionConfig, log: Callable[[str], None]) -> TrainingRuns:
    """Train both sides once, and repeat base only if they differ and base's own repeats differ too.

    Raises `SessionError` if a run crashes or diverges, and `NotComparableError` if the scores' protocols differ.
    """
    first, other = train_pair(base, head, config, LENGTH)
    runs = TrainingRuns([checked(first, base, log)], [checked(other, head, log)])
    require_same_protocol(first, other)
    while len(runs.base) < REPEATS and quantities(runs.head[0]) != quantities(runs.base[0]):
        runs.base.append(checked(train(base, config, LENGTH), base, log))
        if quantities(runs.base[-1]) == quantities(runs.base[0]):
            break  # base repeats itself exactly
    return runs


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
    """Warn if a loss, monitor or score of head lies outside the envelope of base's repeats."""
    base, head = runs.base, runs.head[0]
    seen, now = [quantities(run) for run in base], quantities(head)
    outliers = [f"{name} is missing or not finite on one side" for name in seen[0].keys() ^ now.keys()]
    for name in seen[0].keys() & now.keys():
        lowest, highest = envelope([repeated[name] for repeated in seen])
        if not lowest <= now[name] <= highest:
            outliers.append(f"{name} is {now[name]:.4g}, outside {lowest:.4g} to {highest:.4g}")
    sides = (format_losses(base[0]), format_losses(head))
    if outliers:
        message = f"training results differ for the same seed: {'; '.join(sorted(outliers))}"
        return Finding(Verdict.WARNING, sides, f"{message}. Use --quality to test whether scores are worse")
    return Finding(Verdict.PASS, sides, "training results agree for the same seed")


def envelope(values: list[float]) -> tuple[float, float]:
    """Return the bounds for another repeat: the range of the values, extended by its width or by `ROUNDING`."""
    lowest, highest = min(values), max(values)
    beyond = max(highest - lowest, ROUNDING * max(abs(lowest), abs(highest)))
    return lowest - beyond, highest + beyond


def quantities(run: TrainingRun) -> dict[str, float]:
    """Return the losses and monitors of the last epoch, and the scores."""
    titles = metric_titles(run.metrics)
    scores = {titles[score.id]: score.value for score in run.metrics}
    return {name: value for name, value in {**run.losses, **scores}.items() if value is not None}


def format_losses(run: TrainingRun) -> str:
    return ", ".join(f"{name} {number(run.losses.get(name))}" for name in LOSS_COLUMNS)
