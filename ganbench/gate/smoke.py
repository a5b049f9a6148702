"""The same seed on both sides, for a few steps: does training still go the way it went?"""

from __future__ import annotations

from collections.abc import Callable

from ganbench.reporting.formatting import number
from ganbench.results.schema import metric_titles

from .arm import Arm, Measurement, SessionError
from .training import (
    Training,
    Trainings,
    need_same_protocol,
    train,
)
from .verdict import Finding, Verdict

STEPS = 200
REPEATS = 3  # of base, which tell how far equal trainings end from one another
ROUNDING = 0.01  # of a value: an envelope reaches at least so far beyond what was seen


def train_repeats(arm: Arm, measurement: Measurement, count: int, told: Callable[[str], None]) -> list[Training]:
    """The benchmark's own seed, again and again. Raises `SessionError` where that crashes, or leaves the numbers."""
    trainings = []
    for repeat in range(1, count + 1):
        training = train(arm, measurement, {"steps": STEPS, "epochs": None, "budget_seconds": None})
        if training.status == "diverged":
            raise SessionError(f"a training of {arm.name} over {STEPS} steps diverged: {training.message}")
        told(f"smoke training {repeat}/{count} of {arm.name}: {losses_sentence(training)}")
        trainings.append(training)
    return trainings


def smoke_finding(trainings: Trainings) -> Finding:
    """A warning where a loss, a monitor or a score of head lies outside what base's repeats span.

    Raises `NotComparableError` where scores were not measured alike.
    """
    base, head = trainings.base, trainings.head[0]
    need_same_protocol(base[0], head)
    seen, now = [figures(training) for training in base], figures(head)
    strays = [f"{name} is on one side only" for name in seen[0].keys() ^ now.keys()]
    for name in seen[0].keys() & now.keys():
        lowest, highest = envelope([repeated[name] for repeated in seen])
        if not lowest <= now[name] <= highest:
            strays.append(f"{name} is {now[name]:.4g}, not between {lowest:.4g} and {highest:.4g}")
    sides = (losses_sentence(base[0]), losses_sentence(head))
    if strays:
        sentence = f"from the same seed, training goes another way: {'; '.join(sorted(strays))}"
        return Finding(Verdict.WARNING, sides, f"{sentence}. Whether that is worse, --quality tells")
    return Finding(Verdict.PASS, sides, "from the same seed, training goes the way it went")


def envelope(values: list[float]) -> tuple[float, float]:
    """Between which bounds a further repeat is expected: as far again as they span, or as rounding may lead."""
    lowest, highest = min(values), max(values)
    beyond = max(highest - lowest, ROUNDING * max(abs(lowest), abs(highest)))
    return lowest - beyond, highest + beyond


def figures(training: Training) -> dict[str, float]:
    """The losses and monitors of the last epoch, and the scores."""
    titles = metric_titles(training.metrics)
    scores = {titles[score.id]: score.value for score in training.metrics}
    return {name: value for name, value in {**training.losses, **scores}.items() if value is not None}


def losses_sentence(training: Training) -> str:
    return ", ".join(f"{name} {number(training.losses.get(name))}" for name in ("d_loss", "g_loss"))
