"""Audits metrics: their scores of real images by their number, and of images with known flaws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

from ganbench.data.batches import select_images
from ganbench.errors import UsageError
from ganbench.plugin.interfaces import Split
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.runtime.process_state import fresh_process_state
from ganbench.runtime.rng import make_rng
from ganbench.scoring.dataset import open_dataset
from ganbench.scoring.metric_values import directions
from ganbench.scoring.prepared_metric import PreparedMetric
from ganbench.scoring.real_data import RealData, real_indices
from ganbench.scoring.reference import DEFAULT_SEED, ReferenceData, prepare_for_reference, require_images
from ganbench.scoring.requirements import min_images
from ganbench.scoring.sampling import evaluation_context
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.system.files import default_data_dir

from .extractor import extractor_fault
from .flaws import REPEATS, RealImages, flaws
from .scoring import NamedValues, score_together

CURVE = (16, 8, 4, 2, 1)  # the bias curve has these fractions of the number of images
POOL = 10  # times as many images to draw from, if the split has them
TARGET = 0.01  # relative standard deviation
DETECTED = 3.0  # standard deviations of the score of real images


@dataclass(frozen=True)
class Scores:
    """The scores of several draws of images, by name of the metric's value; NaN if a value is not finite."""

    values: dict[str, list[float]]

    def mean(self, name: str) -> float:
        return mean(self.values[name])

    def std(self, name: str) -> float:
        """Return the sample standard deviation over the draws; NaN if a value is."""
        values = self.values[name]
        return math.nan if any(map(math.isnan, values)) else stdev(values)


@dataclass(frozen=True)
class FlawScores:
    name: str
    strength: str
    scores: Scores


@dataclass(frozen=True)
class Audit:
    """The scores of real and of flawed images."""

    label: str
    directions: dict[str, bool]  # whether higher is better, by name of the ranked values
    count: int  # images scored with each flaw
    curve: dict[int, Scores]  # of real images, by their number
    flaws: list[FlawScores]
    extractor_fault: str | None = None  # why the features cannot be compared, if so

    @property
    def real(self) -> Scores:
        return self.curve[self.count]

    def verdict(self, flaw: FlawScores, name: str) -> str:
        """Return how a flaw is rated next to real images: "worse", "better", or "not detected" within their spread."""
        difference = flaw.scores.mean(name) - self.real.mean(name)
        if math.isnan(difference):
            return "no score"
        if abs(difference) <= DETECTED * self.real.std(name):
            return "not detected"
        return "better" if (difference > 0) == self.directions[name] else "worse"

    def conclusion(self, name: str) -> str:
        """Return what the scores say about this value of the metric on the data, as a sentence."""
        kinds = dict.fromkeys(flaw.name for flaw in self.flaws)
        seen = {flaw.name for flaw in self.flaws if self.verdict(flaw, name) == "worse"}
        if self.extractor_fault is not None:
            return f"not meaningful here: {self.extractor_fault}"
        if not seen:
            return "not meaningful here: no flaw is rated as worse than real images"
        if seen <= REPEATS:
            return f"not meaningful here: only repeated images are rated as worse ({listed(kinds, seen)})"
        missed = listed(kinds, kinds.keys() - seen)
        return f"rated as worse: {listed(kinds, seen)}" + (f"; not rated as worse: {missed}" if missed else "")

    def needed(self, name: str) -> int | None:
        """Estimate how many images give a standard deviation of 1% of the score, if it is proportional to 1 / sqrt(N).

        None if the mean is not clearly different from 0, as of an unbiased distance, or the spread is 0.
        """
        average, spread = abs(self.real.mean(name)), self.real.std(name)
        if not 0 < spread < average / DETECTED:
            return None
        return round(self.count * (spread / average / TARGET) ** 2)


def listed(kinds: Mapping[str, None], chosen: Set[str]) -> str:
    return ", ".join(kind for kind in kinds if kind in chosen)


def audit_metrics(
    spec: EvaluationSpec,
    device: torch.device,
    data_dir: Path | None,
    count: int,
    draws: int,
    status: Callable[[str], None],
    warn: Callable[[str], None],
    data_seed: int | None = None,
) -> list[Audit]:
    """Score real images of the other split and images with flaws, in several draws with different seeds.

    `data_seed` is the seed of the benchmark that names the dataset, if one does. All metrics, which must have the same
    reference images, score the same images. `status` is called before each kind of images, and `warn` for what the
    dataset says about its images and for each flaw that is left out. Raises `UsageError` if the dataset has no other
    split or too few images, and for a metric that cannot score them.
    """
    assert spec.dataset is not None
    with fresh_process_state(device), deterministic_convolutions():
        seed = DEFAULT_SEED if data_seed is None else data_seed
        data, record = open_dataset(spec.dataset, seed, device, data_dir or default_data_dir(), warn)
        if data.notice:
            warn(data.notice)
        require_images(data, str(spec.dataset.plugin))
        reference = ReferenceData(str(spec.dataset.plugin), data, record)
        real_data = reference.real_data(DEFAULT_SEED, device, spec.scoring.batch_size)
        prepared = prepare_for_reference(spec, reference, real_data, conditional=False, warn=warn, generated="-n is")
        return audit_prepared(prepared, real_data, count, draws, status, warn)


def audit_prepared(
    metrics: Sequence[PreparedMetric],
    real_data: RealData,
    count: int,
    draws: int,
    status: Callable[[str], None],
    warn: Callable[[str], None],
) -> list[Audit]:
    ((split, samples),) = {(prepared.config.split, prepared.config.real_samples) for prepared in metrics}
    real = load_real_images(real_data, split, samples, count)

    def scores(name: str, make: Callable[[torch.Generator], Tensor], scored: Sequence[PreparedMetric]) -> list[Scores]:
        """Return the scores of each of these metrics."""
        status(name)
        drawn = [score_together(scored, real_data, make(make_rng(draw, f"audit {name}"))) for draw in range(draws)]
        return [by_name(values) for values in zip(*drawn, strict=True)]

    curves: list[dict[int, Scores]] = [{} for _ in metrics]
    for number in (count // part for part in CURVE if count // part >= 2):
        chosen = [index for index, prepared in enumerate(metrics) if min_images(prepared.metric) <= number]
        draw = partial(real.draw, number)
        found = scores(f"{number:,} real images", draw, [metrics[index] for index in chosen])
        for index, each in zip(chosen, found, strict=True):
            curves[index][number] = each
    flawed: list[list[FlawScores]] = [[] for _ in metrics]
    for flaw in flaws(real):
        if flaw.limit is not None and flaw.limit < count:
            warn(
                f"audit: {flaw.name} ({flaw.strength}): left out, as the {len(real.images):,} images to draw from have "
                f"too few of these classes for -n {count:,} without repetitions"
            )
            continue
        found = scores(f"{flaw.name}, {flaw.strength}", partial(flaw.make, real, count), metrics)
        for own, each in zip(flawed, found, strict=True):
            own.append(FlawScores(flaw.name, flaw.strength, each))
    return [
        Audit(
            prepared.metric.label,
            {name: each for name, each in directions(prepared.metric).items() if each is not None},
            count,
            curve,
            rated,
            extractor_fault(prepared, real_data, real.images[:count]),
        )
        for prepared, curve, rated in zip(metrics, curves, flawed, strict=True)
    ]


def load_real_images(real_data: RealData, name: str, samples: int | None, count: int) -> RealImages:
    """Return images of the reference, and of the other split, to make images with flaws of.

    The reference is the split of this name, or the `samples` images of it that metrics compare with.
    """
    other = "train" if name == "test" else "test"
    split, own = real_data.split(other), real_data.split(name)
    if split is None or own is None:
        raise UsageError("audit: the dataset needs two splits, one as the reference and one to take other images from")
    if split is own:
        raise UsageError(
            "audit: the train and test splits of the dataset are the same, so real images would be compared with "
            "themselves; give the dataset a separate test split"
        )
    if len(split) < 2 * count:
        raise UsageError(
            f"audit: -n {count:,}: the {other} split has {len(split):,} images; several draws should differ, so give "
            f"at most {len(split) // 2:,}"
        )
    pool = some(len(split), POOL * count)
    reference = real_indices(len(own), samples)
    copied = reference[some(len(reference), POOL * count)]
    return RealImages(load(split, pool, real_data), real_data.labels(split, pool), load(own, copied, real_data))


def some(size: int, limit: int) -> Tensor:
    """Return random indices, the same in every audit; all if there are few, in bounded memory otherwise."""
    return torch.randperm(size, generator=make_rng(0, "audit"))[:limit]


def load(split: Split, indices: Tensor, real_data: RealData) -> Tensor:
    with evaluation_context(0, real_data.device):  # reading an image may draw random numbers
        return torch.cat(list(select_images(split, indices, real_data.batch_size, torch.device("cpu"))))


def by_name(draws: Sequence[NamedValues]) -> Scores:
    """Collect the values of several draws by their name."""
    return Scores({name: [math.nan if (one := each[name]) is None else one for each in draws] for name in draws[0]})
