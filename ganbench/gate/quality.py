"""Several seeds on both sides, trained to the end: did the scores get worse?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median, stdev

from ganbench.errors import NotComparableError, UsageError
from ganbench.reporting.formatting import number
from ganbench.results.schema import metric_titles
from ganbench.spec.benchmark import GateOptions

from .arm import Arm, Measurement
from .speed import judgement_sentence
from .statistics import Estimate, welch
from .training import (
    Score,
    Training,
    Trainings,
    need_same_protocol,
    train,
)
from .verdict import (
    Finding,
    Judgement,
    Threshold,
    Verdict,
)

BASE_SEEDS, HEAD_SEEDS = 10, 5
DEVIATIONS = 1.5  # of base's seeds: no less is called worse
PASS_ALPHA = 0.05  # seeds are dear: at the level of the lower bound, next to nothing would pass
DIVERGED_SEEDS = 2  # so many fail, where base has fewer


def train_seeds(
    arm: Arm, measurement: Measurement, seeds: Sequence[int], told: Callable[[str], None]
) -> list[Training]:
    """The whole benchmark from each seed. Raises `SessionError` where one crashes; to diverge is a result."""
    trainings = []
    for seed in seeds:
        training = train(arm, measurement, {"seed": seed})
        titles = metric_titles(training.metrics)
        ended = ", ".join(f"{titles[score.id]} {number(score.value)}" for score in training.metrics)
        told(f"seed {seed} of {arm.name}: {training.message or ended}")
        trainings.append(training)
    return trainings


def seeds_of(seed: int) -> tuple[range, range]:
    """Of base and of head, from the benchmark's own on: no seed on both sides, or they would not be independent."""
    return range(seed, seed + BASE_SEEDS), range(seed + BASE_SEEDS, seed + BASE_SEEDS + HEAD_SEEDS)


class Quality:
    """The scores of both sides, by metric, of the seeds that got to the end with numbers."""

    def __init__(self, trainings: Trainings, margins: GateOptions) -> None:
        """Raises `NotComparableError` where sides were scored differently or too few of base's seeds got to the end,
        `UsageError` where a margin is given for a metric that there is not."""
        self.sides = (trainings.base, trainings.head)
        self.margins = margins
        self.sound = tuple([training for training in side if is_sound(training)] for side in self.sides)
        failed = len(trainings.base) - len(self.sound[0])
        if failed >= DIVERGED_SEEDS:
            raise NotComparableError(
                f"{failed} of base's {len(trainings.base)} seeds diverged: there is nothing to hold head to"
            )
        for training in self.sound[1]:
            need_same_protocol(self.sound[0][0], training)
        self.metrics = {score.id: score for score in self.sound[0][0].metrics}
        self.titles = metric_titles(self.metrics.values())
        known = dict.fromkeys(name for score in self.metrics.values() for name in (score.id, score.name, score.label))
        for name in margins.metric_percent:
            if name not in known:
                raise UsageError(
                    f"gate.metric_percent.{name}: the benchmark has no such metric; it has {', '.join(known)}"
                )

    def estimates(self) -> dict[str, Estimate]:
        """How much worse each score of head is, by its title, where it is positive and both sides have two."""
        costs = {self.titles[score.id]: self._costs(score) for score in self.metrics.values()}
        return {
            title: welch(*sides)
            for title, sides in costs.items()
            if all(len(side) >= 2 and min(side) > 0 for side in sides)
        }

    def threshold(self, title: str) -> Threshold:
        """Its margin, and no less than what seeds alone make of it."""
        score = next(score for score in self.metrics.values() if self.titles[score.id] == title)
        named = self.margins.score_percent
        for name in (score.name, score.label, score.id):  # the most specific one last
            named = self.margins.metric_percent.get(name, named)
        scatter = stdev(map(math.log, self._costs(score)[0]))
        return Threshold(max(named / 100, math.expm1(DEVIATIONS * scatter)), pass_alpha=PASS_ALPHA)

    def findings(self, judgements: dict[str, Judgement]) -> Iterable[tuple[str, Finding]]:
        """What is said of each score, and of the seeds that diverged."""
        failed = [len(side) - len(sound) for side, sound in zip(self.sides, self.sound, strict=True)]
        if any(failed):
            yield "divergence", divergence_finding(failed, [len(side) for side in self.sides])
        for metric_id, title in self.titles.items():
            values = [[value_of(training, metric_id) for training in side] for side in self.sound]
            base, head = (f"{number(median(side))} ({len(side)} seeds)" if side else "none" for side in values)
            if title not in judgements:
                why = f"{title} cannot be judged: the rule needs two seeds on each side, and positive values"
                yield title, Finding(Verdict.INCONCLUSIVE, (base, head), why)
                continue
            judgement = judgements[title]
            sentence = judgement_sentence(title, f"beside a margin of {self.threshold(title).margin:.1%}", judgement)
            better = judgement.upper < 0 and -judgement.effect >= self.threshold(title).margin
            verdict = judgement.verdict
            if better and verdict == Verdict.PASS:
                verdict, sentence = Verdict.WARNING, f"{sentence}. So much better? See that it is scored as it was"
            yield title, Finding(verdict, (base, head), sentence, judgement)

    def _costs(self, score: Score) -> tuple[list[float], list[float]]:
        """The score's values on both sides, turned over where more is better."""
        base, head = ([value_of(training, score.id) for training in side] for side in self.sound)
        if score.higher_is_better:
            base, head = ([1 / value if value else 0.0 for value in side] for side in (base, head))
        return base, head


def is_sound(training: Training) -> bool:
    """Whether it got to the end, with numbers for all scores."""
    return training.status == "completed" and all(score.value is not None for score in training.metrics)


def value_of(training: Training, metric_id: str) -> float:
    value = next(score.value for score in training.metrics if score.id == metric_id)
    assert value is not None
    return value


def divergence_finding(failed: list[int], seeds: list[int]) -> Finding:
    """Two seeds of head are too many; one may be chance."""
    base, head = (f"{of_side} of {count} seeds" for of_side, count in zip(failed, seeds, strict=True))
    verdict = Verdict.REGRESSED if failed[1] >= DIVERGED_SEEDS else Verdict.WARNING
    return Finding(verdict, (base, head), f"{head} diverged, and {base} of base")
