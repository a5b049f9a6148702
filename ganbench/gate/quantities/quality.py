"""Train several seeds to the end on both sides, and test whether the scores are worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median, stdev

from ganbench.errors import UsageError
from ganbench.gate.decision.rank_statistics import RankEstimate, spread
from ganbench.gate.decision.statistics import Estimate, welch
from ganbench.gate.decision.verdict import (
    Decision,
    Finding,
    Threshold,
    Verdict,
    decision_message,
)
from ganbench.gate.side import SessionConfig, Side
from ganbench.gate.training_runs import (
    Score,
    TrainingRun,
    TrainingRuns,
    require_same_protocol,
    train,
)
from ganbench.reporting.formatting import number
from ganbench.results.schema import metric_titles
from ganbench.spec.sections import GateOptions

from .failures import Failures

BASE_SEEDS, HEAD_SEEDS = 10, 5


def train_seeds(
    side: Side,
    config: SessionConfig,
    seeds: Sequence[int],
    margins: GateOptions,
    log: Callable[[str], None],
    check: Callable[[TrainingRun], None] = lambda _: None,
) -> list[TrainingRun]:
    """Run the whole benchmark for each seed. An exception from `check` ends it.

    Raises `SessionError` if a run crashes, and `UsageError` for an invalid margin. Divergence is a
    valid outcome.
    """
    runs = []
    for seed in seeds:
        run = train(side, config, {"seed": seed}, targets=True)
        check(run)
        require_valid_margins(margins, run.metrics)
        titles = metric_titles(run.metrics)
        scores = ", ".join(f"{titles[score.id]} {number(score.value)}" for score in run.metrics)
        log(f"seed {seed} of {side.name}: {run.message or scores}")
        runs.append(run)
    return runs


def train_seeds_of_both(
    base: Side, head: Side, config: SessionConfig, seed: int, margins: GateOptions, log: Callable[[str], None]
) -> TrainingRuns:
    """Train the seeds of both sides in turn, two of base and one of head: a machine that drifts slows down both.

    Raises as `train_seeds` does, and `NotComparableError` as soon as the protocols of scores differ.
    """
    base_seeds, head_seeds = seeds_of(seed)
    runs = TrainingRuns([], [])
    for first, second, head_seed in zip(base_seeds[::2], base_seeds[1::2], head_seeds, strict=True):
        runs.base.extend(train_seeds(base, config, [first, second], margins, log))
        runs.head.extend(train_seeds(head, config, [head_seed], margins, log))
        require_same_protocols(runs)
    return runs


def require_same_protocols(runs: TrainingRuns) -> None:
    """Raise `NotComparableError` if protocols of scores differ between the sides."""
    for base in completed(runs.base)[:1]:
        for head in completed(runs.head):
            require_same_protocol(base, head)


def require_valid_margins(margins: GateOptions, scores: Sequence[Score]) -> None:
    """Raise `UsageError` if a margin is of a metric that is not among these, unless there are none, or if it is too
    large to be exceeded.
    """
    ranked = (score for score in scores if score.higher_is_better is not None)
    known = dict.fromkeys(name for score in ranked for name in (score.id, score.name, score.label))
    for name in margins.metric_percent if known else ():
        if name not in known:
            raise UsageError(f"gate.metric_percent.{name}: unknown metric; the benchmark has {', '.join(known)}")
    for score in scores:
        path, percent = margin_of(score, margins)
        if score.higher_is_better and percent >= 100:
            raise UsageError(
                f"{path}: {percent:g}: {score.label} cannot fall by more than 100%, so no check would fail; set "
                f"gate.metric_percent.{score.id} below 100"
            )


def margin_of(score: Score, margins: GateOptions) -> tuple[str, float]:
    """Return the field of the spec that sets the margin of a score, and the margin in percent."""
    for name in (score.id, score.label, score.name):  # the most specific one first
        if name in margins.metric_percent:
            return f"gate.metric_percent.{name}", margins.metric_percent[name]
    return "gate.score_percent", margins.score_percent


def seeds_of(seed: int) -> tuple[range, range]:
    """Return the seeds of base and head, starting at the benchmark's own. They are disjoint, for independence."""
    return range(seed, seed + BASE_SEEDS), range(seed + BASE_SEEDS, seed + BASE_SEEDS + HEAD_SEEDS)


class Quality:
    """The scores of both sides, by metric, over the seeds that did not diverge."""

    def __init__(self, runs: TrainingRuns, margins: GateOptions) -> None:
        self.sides = (runs.base, runs.head)
        self.margins = margins
        self.completed = (completed(runs.base), completed(runs.head))
        scores = next((run.metrics for side in reversed(self.completed) for run in side), [])
        self.metrics = {score.id: score for score in scores if score.higher_is_better is not None}
        self.titles = metric_titles(self.metrics.values())

    def estimates(self) -> dict[str, Estimate | RankEstimate]:
        """Estimate how much worse each score of head is, by title, if not negative and with two seeds on each side.

        A score of 0, such as a recall without any modes, has no logarithm: then, the ranks of all seeds are compared.
        """
        estimates: dict[str, Estimate | RankEstimate] = {}
        for score in self.metrics.values():
            base, head = self._costs(score)
            if min(len(base), len(head)) < 2 or min(*base, *head) < 0:
                continue
            test = welch if have_logarithms([*base, *head]) else RankEstimate.of
            estimates[self.titles[score.id]] = test(base, head)
        return estimates

    def failures(self) -> dict[str, Failures]:
        """Return the seeds that diverged, and those without a finite score, by title.

        Those without any on either side are left out: there is nothing to test, so the other tests keep their level.
        """
        failures = {"divergence": Failures.among("diverged", self.sides, self.completed)}
        for metric_id, title in self.titles.items():
            how = f"ended without a finite {title}"
            failures[f"{title}, not finite"] = Failures.among(how, self.completed, self._values(metric_id))
        return {title: each for title, each in failures.items() if each.base[0] or each.head[0]}

    def threshold(self, title: str) -> Threshold:
        """Return the margin from the spec, or a multiple of the standard deviation over base's seeds if larger."""
        score = next(score for score in self.metrics.values() if self.titles[score.id] == title)
        _, percent = margin_of(score, self.margins)
        costs = self._costs(score)[0]
        std = stdev(map(math.log, costs)) if have_logarithms(costs) else spread(costs)
        return Threshold.over_seeds(percent / 100, std, bool(score.higher_is_better))

    def findings(self, decisions: dict[str, Decision]) -> Iterable[tuple[str, Finding]]:
        """Yield the finding on each score."""
        for metric_id, title in self.titles.items():
            values = self._values(metric_id)
            base, head = (f"{number(median(side))} ({len(side)} seeds)" if side else "none" for side in values)
            if title not in decisions:
                why = f"{title} cannot be tested: this needs two finite scores on each side, none of them negative"
                yield title, Finding(Verdict.INCONCLUSIVE, (base, head), why)
                continue
            decision = decisions[title]
            zeros = [sum(value == 0 for value in side) for side in values]
            by_rank = any(zeros)
            message = rank_message(title, decision, zeros, values) if by_rank else decision_message(title, decision)
            threshold = self.threshold(title)
            message += f"; margin {threshold.margin:.1%}"
            better = decision.upper < 0 and decision.effect <= threshold.improvement
            verdict = decision.verdict
            more_zeros = zeros[1] * len(values[0]) > zeros[0] * len(values[1])
            if more_zeros and self.metrics[metric_id].higher_is_better and verdict == Verdict.PASS:
                verdict = Verdict.WARNING
            elif better and verdict == Verdict.PASS:
                verdict = Verdict.WARNING
                message += ". Unexpectedly large improvement: verify that scoring is unchanged"
            yield title, Finding(verdict, (base, head), message, decision)

    def _costs(self, score: Score) -> tuple[list[float], list[float]]:
        """Return the costs of both sides: the scores, inverted if higher is better, so that 0 costs infinitely much."""
        base, head = self._values(score.id)
        if score.higher_is_better:
            base, head = ([1 / value if value else math.inf for value in side] for side in (base, head))
        return base, head

    def _values(self, metric_id: str) -> tuple[list[float], list[float]]:
        """Return the finite scores of base and head."""
        base, head = ([value_of(run, metric_id) for run in side] for side in self.completed)
        return [value for value in base if value is not None], [value for value in head if value is not None]


def have_logarithms(costs: Sequence[float]) -> bool:
    return min(costs) > 0 and math.isfinite(max(costs))


def rank_message(title: str, decision: Decision, zeros: Sequence[int], values: Sequence[Sequence[float]]) -> str:
    """Describe a decision by ranks; `zeros` are the numbers of scores of 0 among those of base and head."""
    size = f" by {abs(decision.effect):.1%}" if math.isfinite(decision.effect) else ""
    base, head = (f"{count} of {len(side)} seeds" for count, side in zip(zeros, values, strict=True))
    noisy = "; too few seeds or too much variability to decide" if decision.verdict == Verdict.INCONCLUSIVE else ""
    change = f"{'better' if decision.effect < 0 else 'worse'}{size}"
    return f"{title} is {change}, compared by rank: it is 0 for {head} of head and {base} of base{noisy}"


def completed(runs: Sequence[TrainingRun]) -> list[TrainingRun]:
    """Return the training runs that did not diverge."""
    return [run for run in runs if run.status == "completed"]


def value_of(run: TrainingRun, metric_id: str) -> float | None:
    return next(score.value for score in run.metrics if score.id == metric_id)
