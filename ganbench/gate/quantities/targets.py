"""Test whether head needs more training than base to reach the targets of the spec, over the seeds of `--quality`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ganbench.errors import NotComparableError
from ganbench.gate.decision.rank_statistics import RankEstimate, spread
from ganbench.gate.decision.verdict import Decision, Finding, Threshold, Verdict, decide, percent
from ganbench.gate.training_runs import TrainingRun, TrainingRuns
from ganbench.results.differences import differing_fields
from ganbench.results.target import Evaluation, TargetResult

CostUnit = Literal["images", "seconds"]


class TargetTimes:
    """The training that each seed of both sides took to reach each target, in images and in seconds.

    A seed that does not reach a target, because it diverged or for any other reason, is the worst outcome: it took
    forever. None is left out.
    """

    def __init__(self, runs: TrainingRuns, percents: dict[CostUnit, float]) -> None:
        """`percents` are the margins. Raises `NotComparableError` if the targets of the sides differ."""
        self.sides = (runs.base, runs.head)
        self.percents = percents
        targets = {tuple(map(identity, run.targets)): run.targets for side in self.sides for run in side}
        if len(targets) > 1:
            each = " and ".join(", ".join(map(str, different)) or "none" for different in targets.values())
            raise NotComparableError(f"the training runs have different targets: {each}")
        self.quantities: dict[str, tuple[int, CostUnit]] = {
            f"{target}, {unit}": (number, unit)
            for number, target in enumerate(runs.head[0].targets)
            for unit in percents
        }

    def estimates(self) -> dict[str, RankEstimate]:
        """Estimate how much later head reaches each target; a time is that of the first score that reached it."""
        return {title: RankEstimate.of(*self._costs(title)) for title in self.quantities}

    def threshold(self, title: str) -> Threshold:
        """Return the margin from the spec, or a multiple of the spread over base's seeds that reached it if larger."""
        _, unit = self.quantities[title]
        return Threshold.over_seeds(self.percents[unit] / 100, spread(self._costs(title)[0]))

    def findings(self, decisions: dict[str, Decision], levels: Mapping[str, float]) -> Iterable[tuple[str, Finding]]:
        """Yield the finding on each target and unit. Only a difference beyond the schedule of scores is a regression.

        `levels` are the significance levels of the decisions.
        """
        for title, (number, unit) in self.quantities.items():
            decision = decisions[title]
            verdict, note = decision.verdict, ""
            if verdict == Verdict.REGRESSED:
                if self._within_resolution(title, levels[title]):
                    verdict, note = Verdict.INCONCLUSIVE, "; less than the interval between scores: score more often"
                elif unit == "seconds" and (reason := self._unreliable_clock()):
                    verdict, note = Verdict.INCONCLUSIVE, f"; {reason}"
            elif verdict == Verdict.PASS and unit == "seconds" and (reason := self._slowed_base()):
                verdict, note = Verdict.WARNING, f"; {reason}"
            failed = [sum(run.targets[number].reached is None for run in side) for side in self.sides]
            if verdict == Verdict.PASS and failed[1] * len(self.sides[0]) > failed[0] * len(self.sides[1]):
                verdict = Verdict.WARNING
                note = "; a larger proportion of head's seeds than of base's did not reach it"
            message = f"{describe_decision(title, decision)}; margin {percent(self.threshold(title).margin)}{note}"
            base, head = (self._summary(side, title) for side in self.sides)
            yield title, Finding(verdict, (base, head), message, decision)

    def _within_resolution(self, title: str, alpha: float) -> bool:
        """Return whether head may be no worse, if its seeds reached the target right after the score that missed it."""
        number, unit = self.quantities[title]
        base, _ = self._costs(title)
        head = [earliest_cost(run.targets[number], unit) for run in self.sides[1]]
        best_case = decide(RankEstimate.of(base, head), self.threshold(title), alpha)
        return best_case.verdict != Verdict.REGRESSED

    def _unreliable_clock(self) -> str | None:
        """Return why the sides' seconds may differ for another reason than the code; None if nothing is known."""
        runs = [run for side in self.sides for run in side]
        if fields := differing_fields(run.environment.must_match for run in runs):
            return f"the runs differ in {', '.join(fields)}"
        return "other processes slowed down a run" if any(run.disturbed for run in runs) else None

    def _slowed_base(self) -> str | None:
        """Return why the seconds of base may be too many, which hides a regression; None if nothing is known."""
        disturbed = sum(run.disturbed for run in self.sides[0])
        which = f"{disturbed} of the {len(self.sides[0])} seeds of base"
        return f"other processes slowed down {which}, so a regression may be hidden" if disturbed else None

    def _costs(self, title: str) -> tuple[list[float], list[float]]:
        number, unit = self.quantities[title]
        base, head = ([cost(run.targets[number].reached, unit) for run in side] for side in self.sides)
        return base, head

    def _summary(self, side: Sequence[TrainingRun], title: str) -> str:
        number, unit = self.quantities[title]
        costs = sorted(cost(run.targets[number].reached, unit) for run in side)
        middle = costs[len(costs) // 2]
        reached = f"{sum(map(math.isfinite, costs))} of {len(costs)} seeds"
        if not math.isfinite(middle):
            return f"not reached ({reached})"
        return f"{f'{middle:,.0f}' if middle >= 100 else f'{middle:.3g}'} {unit} ({reached})"


def identity(target: TargetResult) -> tuple[str, float, bool]:
    """Return what defines a target; its label is only for display."""
    return target.metric, target.value, target.higher_is_better


def cost(reached: Evaluation | None, unit: CostUnit) -> float:
    """Return the training before the score that reached a target; infinite if there was none."""
    return math.inf if reached is None else float(getattr(reached, unit))


def earliest_cost(target: TargetResult, unit: CostUnit) -> float:
    """Return the least training after which the target can have been reached: that before the last score below it."""
    if target.reached is None:
        return math.inf
    return 0.0 if target.missed is None else float(getattr(target.missed, unit))


def describe_decision(title: str, decision: Decision) -> str:
    """Describe a decision on a target."""
    if decision.effect == math.inf:
        change = "does not reach it, unlike base"
    elif decision.effect == -math.inf:
        change = "reaches it, unlike base"
    else:
        change = f"needs {abs(decision.effect):.1%} {'less' if decision.effect < 0 else 'more'}"
    noisy = "; too few seeds or too much variability to decide" if decision.verdict == Verdict.INCONCLUSIVE else ""
    return f"{title}: head {change} (between {percent(decision.lower)} and {percent(decision.upper)}){noisy}"
