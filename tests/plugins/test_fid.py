"""FID with fashion-cnn on real images: its values, their order, and its cache."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganbench import DataError, ScoreWarning, UsageError
from ganbench.scoring.features import FeatureWriter, StoredFeatures
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features import fashion_cnn
from ganbench_features.fashion_cnn import WEIGHTS, FashionCNN, load_extractor
from ganbench_metrics.fid import FID, Gaussian, frechet_distance

BATCH = 250
SUBSET = embedded_subset()
TRAIN, TRAIN_LABELS = SUBSET.train.tensors
TEST, TEST_LABELS = SUBSET.test.tensors
REAL = TEST[:500]


class CountedFeatures(StoredFeatures):
    """Counts how often features are read."""

    reads = 0

    def batches(self) -> Iterator[Tensor]:
        CountedFeatures.reads += 1
        return super().batches()


@pytest.fixture(autouse=True)
def no_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountedFeatures, "reads", 0)


@pytest.fixture(scope="module")
def extractor() -> FashionCNN:
    return load_extractor((1, 28, 28), "cpu")


FeaturesOf = Callable[..., CountedFeatures]


@pytest.fixture(scope="module")
def features_of(extractor: FashionCNN, tmp_path_factory: pytest.TempPathFactory) -> FeaturesOf:
    """Return the features of images in batches of 250, as the engine passes them to a metric."""
    folder, number = tmp_path_factory.mktemp("features"), itertools.count()

    def extract(images: Tensor, derived_dir: Path | None = None) -> CountedFeatures:
        with FeatureWriter(folder / str(next(number)), torch.device("cpu")) as writer:
            for batch in images.split(BATCH):
                writer.append(extractor(batch))
        return CountedFeatures(writer.result(), labels=None, derived_dir=derived_dir)

    return extract


@pytest.fixture(scope="module")
def fid(extractor: FashionCNN) -> FID:
    return FID(extractor, "cpu")


@pytest.fixture(scope="module")
def score(fid: FID, features_of: FeaturesOf) -> Callable[[Tensor], float]:
    """The distance between the real images and others."""
    real = features_of(REAL)
    return lambda images: fid.score(real, features_of(images))


Score = Callable[[Tensor], float]


def by_definition(real: np.ndarray, fake: np.ndarray) -> float:
    """The definition (Heusel et al. 2017, eq. 6) with SciPy's matrix square root, in float64."""
    real_cov, fake_cov = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    mean_difference = real.mean(0) - fake.mean(0)
    root = scipy.linalg.sqrtm(real_cov @ fake_cov)
    return mean_difference @ mean_difference + np.trace(real_cov + fake_cov - 2 * root.real)


def blurred(sigma: float) -> Tensor:
    return gaussian_blur(REAL, kernel_size=9, sigma=sigma)


def noisy(deviation: float) -> Tensor:
    noise = torch.randn(REAL.shape, generator=torch.Generator().manual_seed(0))
    return (REAL + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def without_classes(dropped: int) -> Tensor:
    """500 train images, without the first `dropped` classes."""
    return TRAIN[TRAIN_LABELS.ge(dropped)][:500]


@pytest.mark.parametrize("images", [TRAIN[:500], blurred(1), noisy(32)], ids=["real", "blurred", "noisy"])
def test_it_agrees_with_the_definition_computed_by_scipy(images: Tensor, score: Score, extractor: FashionCNN) -> None:
    real, fake = (
        torch.cat([extractor(batch) for batch in each.split(BATCH)]).double().numpy() for each in (REAL, images)
    )
    assert score(images) == pytest.approx(by_definition(real, fake), rel=1e-9)  # float32 would be 1e-7 off


def gaussian(features: np.ndarray) -> Gaussian:
    covariance = np.cov(features, rowvar=False)
    return Gaussian(len(features), torch.from_numpy(features.mean(0)), torch.from_numpy(covariance))


@pytest.mark.parametrize("count", [5, 60, 300])
def test_it_is_accurate_with_fewer_images_than_features(count: int) -> None:
    """For centered features A and B, the trace of the root is the sum of the singular values of ABᵀ / (n - 1)."""
    draw = np.random.default_rng(0)
    real, fake = (np.maximum(draw.standard_normal((count, 200)) + shift, 0) for shift in (0, 0.3))
    real_centered, fake_centered = real - real.mean(0), fake - fake.mean(0)
    root = np.linalg.svd(real_centered @ fake_centered.T, compute_uv=False).sum() / (count - 1)
    traces = (real_centered**2).sum() / (count - 1) + (fake_centered**2).sum() / (count - 1)
    exact = ((real.mean(0) - fake.mean(0)) ** 2).sum() + traces - 2 * root
    assert frechet_distance(gaussian(real), gaussian(fake)) == pytest.approx(exact, rel=1e-11)
    assert frechet_distance(gaussian(real), gaussian(real)) == pytest.approx(0, abs=1e-10)


def test_identical_images_have_a_distance(score: Score) -> None:
    assert score(REAL[:1].expand(500, -1, -1, -1)) > 1


def test_features_with_nan_have_no_distance() -> None:
    features = np.random.default_rng(0).standard_normal((50, 4))
    damaged = features.copy()
    damaged[3, 1] = np.nan
    assert np.isnan(frechet_distance(gaussian(features), gaussian(damaged)))


def test_too_few_images_for_the_covariance_cause_a_warning(score: Score) -> None:
    with pytest.warns(ScoreWarning, match="128 images do not determine the covariance of 128 features"):
        score(REAL[:128])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(REAL[:129])


def test_it_is_zero_for_the_real_images_themselves_in_any_order(score: Score) -> None:
    assert score(REAL.flip(0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("worsened", "degrees"),
    [(blurred, (0.5, 1, 2, 4)), (noisy, (0, 8, 32, 64)), (without_classes, (0, 2, 5, 9))],
)
def test_it_rises_with_every_step_away_from_the_real_images(
    worsened: Callable[[float], Tensor], degrees: tuple[float, ...], score: Score
) -> None:
    distances = [score(worsened(degree)) for degree in degrees]
    assert all(before < after for before, after in pairwise(distances)), distances


def test_a_score_does_not_depend_on_the_previous_one(score: Score) -> None:
    first = score(blurred(1))
    score(noisy(64))
    assert score(blurred(1)) == pytest.approx(first)


def test_statistics_of_real_images_are_cached_for_later_runs(
    fid: FID, extractor: FashionCNN, features_of: FeaturesOf, tmp_path: Path
) -> None:
    first, second = (features_of(REAL, tmp_path / "kept") for _ in range(2))
    generated = features_of(TRAIN[:500])
    before, reads = fid.score(first, generated), CountedFeatures.reads
    assert reads == 2  # the real ones and the generated ones
    assert fid.score(first, generated) == before
    assert FID(extractor, "cpu").score(second, generated) == before
    assert CountedFeatures.reads == reads + 2  # the generated ones alone


def test_statistics_of_generated_images_are_not_cached(fid: FID, features_of: FeaturesOf, tmp_path: Path) -> None:
    fid.score(features_of(REAL, tmp_path / "kept"), features_of(TRAIN[:500]))
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize("damage", [lambda whole: whole[:1000], lambda whole: whole[:-1] + b"!"], ids=["cut", "byte"])
def test_corrupt_cached_statistics_are_recomputed(
    damage: Callable[[bytes], bytes], fid: FID, features_of: FeaturesOf, tmp_path: Path
) -> None:
    real, generated = features_of(REAL, tmp_path / "kept"), features_of(TRAIN[:500])
    score = fid.score(real, generated)
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    reads = CountedFeatures.reads
    assert fid.score(real, generated) == score
    assert CountedFeatures.reads == reads + 2
    assert fid.score(real, generated) == score
    assert CountedFeatures.reads == reads + 3  # the new file is whole


def test_its_label_and_protocol_name_the_features_and_their_weights(fid: FID) -> None:
    assert fid.label == "FID (fashion-cnn)"
    assert not fid.higher_is_better
    assert fid.features.protocol["extractor"] == "fashion-cnn"
    assert fid.features.protocol["weights_sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert fid.protocol["statistics"] == "float64"
    assert fid.software["torchmetrics"]


def test_fashion_cnn_has_128_features_that_do_not_depend_on_the_batch(extractor: FashionCNN) -> None:
    together = extractor(TEST[:8])
    assert not extractor.training
    assert together.shape == (8, extractor.num_features) == (8, 128)
    assert not together.requires_grad
    torch.testing.assert_close(torch.cat([extractor(image[None]) for image in TEST[:8]]), together)


def test_fashion_cnn_classifies_accurately(extractor: FashionCNN) -> None:
    guesses = torch.cat([extractor.classify(batch).argmax(1) for batch in TEST.split(BATCH)])
    assert (guesses == TEST_LABELS).double().mean() >= 0.90


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32)])
def test_fashion_cnn_rejects_images_of_another_shape(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="requires grayscale 28x28 images") as raised:
        load_extractor(shape, "cpu")
    assert str(shape) in str(raised.value)


@pytest.mark.parametrize("altered", [lambda whole: whole[:-1], lambda whole: whole[:-1] + b"\0"], ids=["cut", "byte"])
def test_the_error_for_modified_weights_has_both_hashes(
    altered: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = altered(WEIGHTS.read_bytes())
    path = tmp_path / WEIGHTS.name
    path.write_bytes(content)
    monkeypatch.setattr(fashion_cnn, "WEIGHTS", path)
    with pytest.raises(DataError) as raised:
        load_extractor((1, 28, 28), "cpu")
    expected, found = fashion_cnn.WEIGHTS_SHA256, hashlib.sha256(content).hexdigest()
    assert all(fact in str(raised.value) for fact in (str(path), expected, found))
