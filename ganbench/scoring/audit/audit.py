"""Audits a metric: its score of real images by their number, and of images with known flaws."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

from ganbench.data.batches import select_images
from ganbench.errors import UsageError
from ganbench.plugin.interfaces import FeatureMetric, Metric, Split
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.runtime.process_state import fresh_process_state
from ganbench.runtime.rng import make_rng
from ganbench.scoring.calls import finite_values, score_warnings, update_metric
from ganbench.scoring.dataset import open_dataset
from ganbench.scoring.eval.evaluate import Reference, prepare, require_images
from ganbench.scoring.eval.run import DEFAULT_SEED
from ganbench.scoring.features import FeatureWriter, StoredFeatures
from ganbench.scoring.reference import PreparedMetric, RealData
from ganbench.scoring.requirements import min_images
from ganbench.scoring.sampling import evaluation_context
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.system.files import default_data_dir

from .flaws import Flaw, RealImages, flaws

CURVE = (16, 8, 4, 2, 1)  # the bias curve has these fractions of the number of images
POOL = 10  # times as many images to draw from, if the split has them
TARGET = 0.01  # relative standard deviation
NOTICED = 3.0  # standard deviations of the score of real images


@dataclass(frozen=True)
class Scores:
    """The scores of several draws of images, by name of the metric's value; NaN if a value is not finite."""

    values: dict[str, list[float]]

    def mean(self, name: str) -> float:
        return mean(self.values[name])

    def std(self, name: str) -> float:
        """Return the sample standard deviation over the draws."""
        return stdev(self.values[name])


@dataclass(frozen=True)
class FlawScores:
    name: str
    strength: str
    scores: Scores


@dataclass(frozen=True)
class Audit:
    """The scores of real and of flawed images."""

    label: str
    directions: dict[str, bool]  # whether higher is better, by name of the value
    count: int  # images scored with each flaw
    curve: dict[int, Scores]  # of real images, by their number
    flaws: list[FlawScores]

    @property
    def real(self) -> Scores:
        return self.curve[self.count]

    def verdict(self, flaw: FlawScores, name: str) -> str:
        """Return how a flaw is rated next to real images: "worse", "better", or "not noticed" within their spread."""
        difference = flaw.scores.mean(name) - self.real.mean(name)
        if math.isnan(difference):
            return "no score"
        if abs(difference) <= NOTICED * self.real.std(name):
            return "not noticed"
        return "better" if (difference > 0) == self.directions[name] else "worse"

    def needed(self, name: str) -> int | None:
        """Estimate the number of images for a standard deviation of 1%, which is taken to fall with the root of it.

        None if the mean is not clearly different from 0, as of an unbiased distance, or the spread is 0.
        """
        average, spread = abs(self.real.mean(name)), self.real.std(name)
        if not 0 < spread < average / NOTICED:
            return None
        return round(self.count * (spread / average / TARGET) ** 2)


def audit_metric(
    spec: EvaluationSpec,
    device: torch.device,
    data_dir: Path | None,
    count: int,
    draws: int,
    status: Callable[[str], None],
    warn: Callable[[str], None],
) -> Audit:
    """Score real images of the other split and images with flaws, in several draws with different seeds.

    `status` is called before each kind of images. Raises `UsageError` if the dataset has no other split or too few
    images, and for a metric that cannot score them.
    """
    assert spec.dataset is not None
    with fresh_process_state(device), deterministic_convolutions():
        data, record = open_dataset(spec.dataset, DEFAULT_SEED, device, data_dir or default_data_dir(), warn)
        require_images(data, str(spec.dataset.plugin))
        reference = Reference(str(spec.dataset.plugin), data, record)
        real_data = reference.real_data(DEFAULT_SEED, device, spec.scoring.batch_size)
        (prepared,) = prepare(spec, reference, real_data, conditional=False, warn=warn)
        return audit_prepared(prepared, real_data, count, draws, status)


def audit_prepared(
    prepared: PreparedMetric, real_data: RealData, count: int, draws: int, status: Callable[[str], None]
) -> Audit:
    config = prepared.config
    other = "train" if config.split == "test" else "test"
    split, own = real_data.split(other), real_data.split(config.split)
    if split is None or own is None:
        raise UsageError("audit: the dataset needs two splits, one as the reference and one to take other images from")
    if len(split) < 2 * count:
        raise UsageError(
            f"audit: -n {count:,}: the {other} split has {len(split):,} images; several draws should differ, so give "
            f"at most {len(split) // 2:,}"
        )
    pool, copied = some(len(split), POOL * count), some(len(own), POOL * count)
    real = RealImages(load(split, pool, real_data), real_data.labels(split, pool), load(own, copied, real_data))
    directions = value_directions(prepared)

    def scores(name: str, make: Callable[[torch.Generator], Tensor]) -> Scores:
        status(name)
        rated = [score(prepared, real_data, make(make_rng(draw, f"audit {name}"))) for draw in range(draws)]
        return Scores({key: [math.nan if (one := each[key]) is None else one for each in rated] for key in directions})

    def real_scores(number: int) -> Scores:
        return scores(f"{number:,} real images", lambda rng: real.draw(number, rng))

    def flaw_scores(flaw: Flaw) -> FlawScores:
        name = f"{flaw.name}, {flaw.strength}"
        return FlawScores(flaw.name, flaw.strength, scores(name, lambda rng: flaw.make(real, count, rng)))

    counts = [count // part for part in CURVE if count // part >= max(2, min_images(prepared.metric))]
    curve = {number: real_scores(number) for number in counts}
    found = [flaw_scores(flaw) for flaw in flaws(real_data.data.num_classes, real.images.shape[1])]
    return Audit(prepared.metric.label, directions, count, curve, found)


def some(size: int, limit: int) -> Tensor:
    """Return random indices, the same in every audit; all if there are few, in bounded memory otherwise."""
    return torch.randperm(size, generator=make_rng(0, "audit"))[:limit]


def load(split: Split, indices: Tensor, real_data: RealData) -> Tensor:
    with evaluation_context(0, real_data.device):  # reading an image may draw random numbers
        return torch.cat(list(select_images(split, indices, real_data.batch_size, torch.device("cpu"))))


def value_directions(prepared: PreparedMetric) -> dict[str, bool]:
    """Return whether higher is better by name of the metric's value, a single one under ""."""
    declared = prepared.metric.higher_is_better
    return dict(declared) if isinstance(declared, Mapping) else {"": bool(declared)}


def score(prepared: PreparedMetric, real_data: RealData, images: Tensor) -> dict[str, float | None]:
    """Return the metric's values for images in memory, without caching anything."""
    metric, config = prepared.metric, prepared.config
    batches = [batch.to(real_data.device) for batch in images.split(real_data.batch_size)]
    with evaluation_context(0, real_data.device), score_warnings(prepared.warnings):
        if isinstance(metric, FeatureMetric):
            assert prepared.real_features is not None
            with tempfile.TemporaryDirectory(prefix="ganbench-features-") as folder:
                with FeatureWriter(Path(folder) / "features", real_data.device) as writer:
                    for batch in batches:
                        writer.append(metric.features(batch))
                generated = StoredFeatures(writer.result(), None)
                with config.plugin.wrap_errors("raised in score"):
                    return finite_values(config, metric, metric.score(prepared.real_features, generated))
        assert isinstance(metric, Metric)
        for batch in batches:
            update_metric(config, metric, batch, None)
        with config.plugin.wrap_errors("raised in compute"):
            return finite_values(config, metric, metric.compute())
