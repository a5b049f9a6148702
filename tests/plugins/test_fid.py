"""FID over fashion-cnn, on real images: the right number, in the right order, from a cache that can be trusted."""

from __future__ import annotations

import hashlib
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
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features import fashion_cnn
from ganbench_features.fashion_cnn import WEIGHTS, FashionCNN, load_extractor
from ganbench_metrics.fid import FID, Gaussian, frechet_distance

BATCH = 250
SUBSET = embedded_subset()
TRAIN, TRAIN_LABELS = SUBSET.train.tensors
TEST, TEST_LABELS = SUBSET.test.tensors
REAL = TEST[:500]


class PublishedCurve:
    """Real images that count how often they are read."""

    def __init__(self, fingerprint: str = "real", count: int = len(REAL)) -> None:
        self.fingerprint = fingerprint
        self.count = count
        self.reads = 0

    def batches(self) -> Iterator[Tensor]:
        self.reads += 1
        return iter(REAL.split(BATCH))


@pytest.fixture(scope="module")
def extractor() -> FashionCNN:
    return load_extractor((1, 28, 28), "cpu")


@pytest.fixture(scope="module")
def fid(extractor: FashionCNN, tmp_path_factory: pytest.TempPathFactory) -> FID:
    """Compares with the real images."""
    fid = FID(extractor, "cpu", tmp_path_factory.mktemp("cache"))
    fid.fit(PublishedCurve())
    return fid


def score(fid: FID, images: Tensor) -> float:
    for batch in images.split(BATCH):
        fid.update(batch)
    return fid.compute()


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
    """500 train images, the lowest `dropped` classes not among them."""
    return TRAIN[TRAIN_LABELS.ge(dropped)][:500]


@pytest.mark.parametrize("images", [TRAIN[:500], blurred(1), noisy(32)], ids=["real", "blurred", "noisy"])
def test_it_agrees_with_the_definition_computed_by_scipy(images: Tensor, fid: FID, extractor: FashionCNN) -> None:
    real, fake = (
        torch.cat([extractor(batch) for batch in each.split(BATCH)]).double().numpy() for each in (REAL, images)
    )
    assert score(fid, images) == pytest.approx(by_definition(real, fake), rel=1e-9)  # float32 would be 1e-7 off


def gaussian(features: np.ndarray) -> Gaussian:
    covariance = np.cov(features, rowvar=False)
    return Gaussian(len(features), torch.from_numpy(features.mean(0)), torch.from_numpy(covariance))


@pytest.mark.parametrize("count", [5, 60, 300])
def test_it_is_exact_with_fewer_images_than_features(count: int) -> None:
    """With centered features A and B, the trace of the root is the sum of the singular values of ABᵀ / (n - 1)."""
    draw = np.random.default_rng(0)
    real, fake = (np.maximum(draw.standard_normal((count, 200)) + shift, 0) for shift in (0, 0.3))
    real_centered, fake_centered = real - real.mean(0), fake - fake.mean(0)
    root = np.linalg.svd(real_centered @ fake_centered.T, compute_uv=False).sum() / (count - 1)
    traces = (real_centered**2).sum() / (count - 1) + (fake_centered**2).sum() / (count - 1)
    exact = ((real.mean(0) - fake.mean(0)) ** 2).sum() + traces - 2 * root
    assert frechet_distance(gaussian(real), gaussian(fake)) == pytest.approx(exact, rel=1e-11)
    assert frechet_distance(gaussian(real), gaussian(real)) == pytest.approx(0, abs=1e-10)


def test_images_that_are_all_alike_have_a_distance(fid: FID) -> None:
    assert score(fid, REAL[:1].expand(500, -1, -1, -1)) > 1


def test_features_that_are_not_numbers_have_none() -> None:
    features = np.random.default_rng(0).standard_normal((50, 4))
    damaged = features.copy()
    damaged[3, 1] = np.nan
    assert np.isnan(frechet_distance(gaussian(features), gaussian(damaged)))


def test_too_few_images_for_the_covariance_are_a_warning(fid: FID) -> None:
    with pytest.warns(ScoreWarning, match="128 images do not determine the covariance of 128 features"):
        score(fid, REAL[:128])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(fid, REAL[:129])


def test_it_is_zero_for_the_real_images_themselves_in_any_order(fid: FID) -> None:
    assert score(fid, REAL.flip(0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("worsened", "degrees"),
    [(blurred, (0.5, 1, 2, 4)), (noisy, (0, 8, 32, 64)), (without_classes, (0, 2, 5, 9))],
)
def test_it_rises_with_every_step_away_from_the_real_images(
    worsened: Callable[[float], Tensor], degrees: tuple[float, ...], fid: FID
) -> None:
    distances = [score(fid, worsened(degree)) for degree in degrees]
    assert all(before < after for before, after in pairwise(distances)), distances


def test_a_score_forgets_the_images_of_the_one_before(fid: FID) -> None:
    first = score(fid, blurred(1))
    score(fid, noisy(64))
    assert score(fid, blurred(1)) == pytest.approx(first)


def test_real_statistics_are_computed_once_and_shared_by_later_runs(extractor: FashionCNN, tmp_path: Path) -> None:
    reference = PublishedCurve()
    first, second = (FID(extractor, "cpu", tmp_path) for _ in range(2))
    first.fit(reference)
    second.fit(reference)
    assert reference.reads == 1
    assert score(second, TRAIN[:500]) == pytest.approx(score(first, TRAIN[:500]))


@pytest.mark.parametrize("other", [{"fingerprint": "other"}, {"count": 499}], ids=["fingerprint", "count"])
def test_statistics_of_other_real_images_are_not_taken(
    other: dict[str, object], extractor: FashionCNN, tmp_path: Path
) -> None:
    FID(extractor, "cpu", tmp_path).fit(PublishedCurve())
    reference = PublishedCurve(**other)
    FID(extractor, "cpu", tmp_path).fit(reference)
    assert reference.reads == 1


def test_statistics_of_another_extractor_are_not_taken(
    extractor: FashionCNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = PublishedCurve()
    FID(extractor, "cpu", tmp_path).fit(reference)
    monkeypatch.setattr(fashion_cnn, "WEIGHTS_SHA256", "of weights trained anew")
    FID(extractor, "cpu", tmp_path).fit(reference)
    assert reference.reads == 2


@pytest.mark.parametrize("damage", [lambda whole: whole[:1000], lambda whole: whole[:-1] + b"!"], ids=["cut", "byte"])
def test_an_altered_cache_file_is_computed_anew(
    damage: Callable[[bytes], bytes], extractor: FashionCNN, tmp_path: Path
) -> None:
    reference = PublishedCurve()
    FID(extractor, "cpu", tmp_path).fit(reference)
    (cached,) = (tmp_path / "fid").iterdir()
    cached.write_bytes(damage(cached.read_bytes()))
    FID(extractor, "cpu", tmp_path).fit(reference)
    assert reference.reads == 2
    FID(extractor, "cpu", tmp_path).fit(reference)
    assert reference.reads == 2  # the new file is whole


def test_its_label_and_protocol_name_the_features_and_their_weights(fid: FID) -> None:
    assert fid.label == "FID (fashion-cnn)"
    assert not fid.higher_is_better
    assert fid.protocol["extractor"] == "fashion-cnn"
    assert fid.protocol["weights_sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert fid.protocol["statistics"] == "float64"
    assert fid.software["torchmetrics"]


def test_fashion_cnn_gives_128_features_that_do_not_depend_on_the_batch(extractor: FashionCNN) -> None:
    together = extractor(TEST[:8])
    assert not extractor.training
    assert together.shape == (8, extractor.num_features) == (8, 128)
    assert not together.requires_grad
    torch.testing.assert_close(torch.cat([extractor(image[None]) for image in TEST[:8]]), together)


def test_fashion_cnn_knows_what_it_sees(extractor: FashionCNN) -> None:
    guesses = torch.cat([extractor.classify(batch).argmax(1) for batch in TEST.split(BATCH)])
    assert (guesses == TEST_LABELS).double().mean() >= 0.90


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32)])
def test_fashion_cnn_refuses_images_that_it_was_not_trained_for(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="requires grayscale 28x28 images") as raised:
        load_extractor(shape, "cpu")
    assert str(shape) in str(raised.value)


@pytest.mark.parametrize("altered", [lambda whole: whole[:-1], lambda whole: whole[:-1] + b"\0"], ids=["cut", "byte"])
def test_altered_weights_are_named_with_both_hashes(
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
