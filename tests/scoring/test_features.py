"""Metrics that compare features share one pass over the images; features of real images are kept between runs."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PLUGIN_NAMES
from linear_gan import few_images, own_run
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench import (
    BuildContext,
    DataError,
    FeatureExtractorConfig,
    FeatureExtractorPlugin,
    Features,
    ImageData,
    MetricPlugin,
    Networks,
    Options,
    PluginError,
    ReferenceImages,
    UsageError,
)
from ganbench.data.labels import LabelSampler
from ganbench.errors import GanbenchWarning
from ganbench.plugin.registry import Provider, Registered, Registry
from ganbench.results.schema import DataRecord, MetricResult
from ganbench.scoring import features
from ganbench.scoring.evaluation import Evaluator
from ganbench.scoring.features import FeatureWriter, cached_features
from ganbench.scoring.preparation import prepare_metrics
from ganbench.scoring.reference import RealData
from ganbench.scoring.sampling import Sampler
from ganbench.spec.loading import load_spec, resolve
from ganbench.training.runner import run
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_losses.bce import BinaryCrossEntropy

CPU = torch.device("cpu")
SUBSET = embedded_subset()
TRAIN, TEST, SAMPLES = 300, 200, 130  # images; those that a metric generates
LATENT = 4
SCORING_BATCH = 64
PROVIDER = Provider("ganbench-test", None, "test", __name__)
SEEN: dict[int, int] = {}  # how many images an extractor was called with, by its number of cells


class ThumbnailOptions(Options):
    cells: int = 4
    half: bool = False


class Thumbnail(nn.Module):
    """The image itself at a few pixels a side. Counts the images that it is called with."""

    def __init__(self, options: ThumbnailOptions) -> None:
        super().__init__()
        self.cells, self.half = options.cells, options.half
        self.num_features = options.cells**2
        self.protocol = {"extractor": f"thumbnail-{options.cells}"}

    def forward(self, images: Tensor) -> Tensor:
        SEEN[self.cells] = SEEN.get(self.cells, 0) + len(images)
        pixels = nn.functional.adaptive_avg_pool2d(images.float().mean(1), self.cells).flatten(1)
        return pixels.bfloat16() if self.half else pixels


class ComparingOptions(Options):
    features: FeatureExtractorConfig


class Means:
    """The distance between the means of features."""

    higher_is_better: Any = False
    protocol: dict[str, Any] = {}

    def __init__(self, features: Thumbnail) -> None:
        self.features = features
        self.label = f"{type(self).__name__.lower()} ({features.protocol['extractor']})"

    def mean(self, features: Features) -> Tensor:
        return sum(batch.double().sum(0) for batch in features.batches()) / len(features)

    def score(self, real: Features, generated: Features) -> Any:
        return (self.mean(generated) - self.mean(real)).norm().item()


class Extremes(Means):
    """Two values: the difference of the means, and the share of pixels that are brighter than the mean real one."""

    higher_is_better = {"distance": False, "brighter": True}

    def score(self, real: Features, generated: Features) -> dict[str, float]:
        mean = self.mean(real)
        brighter = torch.cat([batch > mean for batch in generated.batches()]).double().mean()
        return {"distance": super().score(real, generated), "brighter": brighter.item()}


class Spread(Means):
    """Features' deviation, with what it derives of real images' features."""

    def score(self, real: Features, generated: Features) -> float:
        ours, theirs = (each.derived("mean", lambda each=each: {"mean": self.mean(each)}) for each in (real, generated))
        return (ours["mean"] - theirs["mean"]).abs().max().item()


class ByClass(Means):
    """The distance between the means of each class; records the labels of the features."""

    uses_labels = True
    came: list[tuple[Tensor, Tensor]] = []

    def score(self, real: Features, generated: Features) -> float:
        ByClass.came.append((real.labels, generated.labels))
        assert len(generated.labels) == len(generated)
        sides = []
        for each in (real, generated):
            values = torch.cat(list(each.batches())).double()
            classes = [values[each.labels == label].sum(0) for label in range(10)]
            sides.append(torch.stack(classes) / len(each))
        return (sides[0] - sides[1]).norm().item()


class LabelledImages:
    """A metric of images with labels: the share of labels that are 0. Notes the labels that it sees."""

    label, higher_is_better, protocol, uses_labels = "labelled", False, {}, True
    came: list[Tensor] = []

    def __init__(self) -> None:
        self.fitted: Tensor | None = None
        self.labels: list[Tensor] = []

    def fit(self, reference: ReferenceImages) -> None:
        assert reference.labels is not None
        assert len(reference.labels) == reference.count
        self.fitted = reference.labels

    def update(self, images: Tensor, labels: Tensor) -> None:
        assert len(images) == len(labels)
        self.labels.append(labels)

    def compute(self) -> float:
        labels = torch.cat(self.labels)
        LabelledImages.came.append(labels)
        self.labels.clear()
        return labels.eq(0).double().mean().item()


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN.clear()
    monkeypatch.setattr(ByClass, "came", [])
    monkeypatch.setattr(LabelledImages, "came", [])


@pytest.fixture(scope="module")
def own(registry: Registry) -> Registry:
    """The shipped plugins and those above."""
    own = Registry()
    for registered in registry.all_plugins():
        own.add(registered)
    plugins = [
        FeatureExtractorPlugin(
            name="thumbnail", summary="-", options=ThumbnailOptions, build=lambda options, _: Thumbnail(options).eval()
        ),
        MetricPlugin(name="labelled", summary="-", build=lambda *_: LabelledImages()),
    ]
    for metric in (Means, Extremes, Spread, ByClass):

        def build(options: ComparingOptions, context: BuildContext, metric: type[Means] = metric) -> Means:
            return metric(options.features.build(context))

        plugins.append(MetricPlugin(name=metric.__name__.lower(), summary="-", options=ComparingOptions, build=build))
    for plugin in plugins:
        own.add(Registered(plugin, PROVIDER))
    return own


def data_of(test: int | None = TEST) -> ImageData:
    """The first images of the subset's splits; without a test split where `test` is None."""
    train, kept = SUBSET.train.tensors, SUBSET.test.tensors
    return ImageData(
        TensorDataset(*(tensor[:TRAIN] for tensor in train)),
        None if test is None else TensorDataset(*(tensor[:test] for tensor in kept)),
        num_classes=10,
        source="embedded",
        fingerprint="a part of the subset",
    )


RECORD = DataRecord(
    source="embedded",
    fingerprint="a part of the subset",
    content_sha256="0123456789abcdef",
    content_basis="all images",
    train_images=TRAIN,
    test_images=TEST,
    notice=None,
)


class Shining(nn.Module):
    """A generator of one part of real images each, weighted by the latent; it looks at the labels if it has any."""

    def __init__(self, conditional: bool) -> None:
        super().__init__()
        self.conditional = conditional
        self.linear = nn.Linear(LATENT, 28 * 28)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        images = self.linear(latent).tanh()
        if labels is not None:
            images = images * (labels[:, None] / 10)
        assert (labels is not None) == self.conditional
        return images.view(-1, 1, 28, 28)


def networks_of(conditional: bool = False, seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    return Networks(Shining(conditional), nn.Flatten(), LATENT, conditional)


class Scoring:
    """An evaluator, with all that it is made of."""

    def __init__(
        self,
        registry: Registry,
        cache_dir: Path,
        metrics: list[dict[str, Any]],
        *,
        data: ImageData | None = None,
        record: DataRecord = RECORD,
        conditional: bool = False,
        average: nn.Module | None = None,
    ) -> None:
        homework, _ = load_spec("dcgan-fashion", registry, ["metrics=[]"])
        given = [{"num_samples": SAMPLES, **metric} for metric in metrics]
        ema = {} if average is None else {"ema": {"half_life_kimg": 10.0}}
        spec = resolve({**homework.to_dict(), **ema, "metrics": given}, registry, origin="a test's")
        context = BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=cache_dir, seed=7)
        self.data, self.networks, loss = data or data_of(), networks_of(conditional), BinaryCrossEntropy()
        real_data = RealData(self.data, record, context, SCORING_BATCH)
        self.prepared = prepare_metrics(spec, real_data, loss, conditional, lambda _: None)
        labels = None
        if conditional:
            counts = torch.bincount(self.data.train.tensors[1].long(), minlength=10).tolist()
            labels = LabelSampler(counts, CPU)
        sampler = Sampler(
            self.networks,
            PLUGIN_NAMES,
            (1, 28, 28),
            CPU,
            lambda _: None,
            labels=labels,
            average=None if average is None else lambda: average,
        )
        self.evaluator = Evaluator(
            self.prepared,
            real_data,
            loss,
            sampler,
            seed=7,
            images_per_epoch=TRAIN,
            training_batch_size=16,
            batch_size=SCORING_BATCH,
        )

    def scores(self, images: int = 0) -> list[float | None]:
        """Of the generator as it is."""
        return [point.value for _, point in self.evaluator.evaluate(self.networks, images)]


def over(cells: int, name: str = "means", **keys: Any) -> dict[str, Any]:
    """A metric over thumbnails of so many pixels a side."""
    return {"name": name, "features": {"name": "thumbnail", "cells": cells}, **keys}


def test_three_metrics_on_one_extractor_see_each_image_once(own: Registry, tmp_path: Path) -> None:
    metrics = [over(4), over(4, "extremes"), over(4, "spread")]
    scoring = Scoring(own, tmp_path, metrics)
    assert SEEN == {4: TEST + SAMPLES}  # all real images to compare with, and those that get a score
    for images in (0, 300):
        SEEN.clear()
        assert None not in scoring.scores(images)
        assert SEEN == {4: SAMPLES}
    SEEN.clear()
    again = Scoring(own, tmp_path, metrics)
    assert SEEN == {}
    assert again.scores() == scoring.scores(600)
    assert SEEN == {4: 2 * SAMPLES}


def test_metrics_that_want_other_images_get_their_own(own: Registry, tmp_path: Path) -> None:
    scoring = Scoring(own, tmp_path, [over(4), over(4, num_samples=60), over(4, generator_mode="train")])
    SEEN.clear()
    scoring.scores()
    assert SEEN == {4: 2 * SAMPLES + 60}


def test_metrics_over_different_extractors_get_features_of_their_own(own: Registry, tmp_path: Path) -> None:
    together = Scoring(own, tmp_path / "together", [over(4), over(7)])
    SEEN.clear()
    scores = together.scores()
    assert SEEN == {4: SAMPLES, 7: SAMPLES}
    alone = [Scoring(own, tmp_path / "alone", [over(cells)]).scores() for cells in (4, 7)]
    assert [[score] for score in scores] == alone
    assert scores[0] != scores[1]


def test_scores_do_not_depend_on_which_metrics_share_the_features(own: Registry, tmp_path: Path) -> None:
    shared = Scoring(own, tmp_path / "shared", [over(4), over(4, "extremes")]).scores()
    assert Scoring(own, tmp_path / "alone", [over(4)]).scores() == shared[:1] == shared[1:2]


def directly(data: ImageData, generated: Tensor) -> float:
    """The distance between the mean thumbnails of the test split and of generated images."""
    extractor = Thumbnail(ThumbnailOptions())
    sides = [extractor(images).double().mean(0) for images in (data.test.tensors[0], generated)]
    return (sides[0] - sides[1]).norm().item()


def test_a_score_is_that_of_the_generated_images(own: Registry, tmp_path: Path) -> None:
    scoring = Scoring(own, tmp_path, [over(4)])
    nn.init.zeros_(scoring.networks.generator.linear.weight)
    nn.init.zeros_(scoring.networks.generator.linear.bias)
    grey = torch.full((SAMPLES, 1, 28, 28), 128, dtype=torch.uint8)
    assert scoring.scores() == [pytest.approx(directly(scoring.data, grey), rel=1e-6)]


def cached(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / "features").glob(f"*{suffix}"))


def forget_scores(folder: Path) -> None:
    """Let scores of real images be computed anew."""
    for file in (folder / "real-data-scores").iterdir():
        file.unlink()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "altered": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "altered within": lambda whole: whole[:60] + bytes([whole[60] ^ 1]) + whole[61:],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("suffix", [".bin", ".layout"])
def test_cached_features_that_were_cut_or_altered_are_extracted_anew(
    suffix: str, damage: Callable[[bytes], bytes], own: Registry, tmp_path: Path
) -> None:
    first = Scoring(own, tmp_path, [over(4)])
    scores, before = first.scores(), [path.read_bytes() for path in cached(tmp_path, ".bin")]
    assert len(before) == 2
    for path in cached(tmp_path, suffix):
        path.write_bytes(damage(path.read_bytes()))
    forget_scores(tmp_path)
    SEEN.clear()
    second = Scoring(own, tmp_path, [over(4)])
    assert SEEN == {4: TEST + SAMPLES}
    assert second.scores() == scores
    assert second.prepared[0].real_data_scores == first.prepared[0].real_data_scores
    assert [path.read_bytes() for path in cached(tmp_path, ".bin")] == before
    SEEN.clear()
    Scoring(own, tmp_path, [over(4)])
    assert SEEN == {}  # the new files are whole


def test_features_without_their_layout_or_a_layout_without_features_are_extracted_anew(
    own: Registry, tmp_path: Path
) -> None:
    scores = Scoring(own, tmp_path, [over(4)]).scores()
    for suffix in (".bin", ".layout"):
        for path in cached(tmp_path, suffix):
            path.unlink()
        forget_scores(tmp_path)
        SEEN.clear()
        assert Scoring(own, tmp_path, [over(4)]).scores() == scores
        assert SEEN == {4: TEST + 2 * SAMPLES}
        assert len(cached(tmp_path, ".bin")) == len(cached(tmp_path, ".layout"))


def test_altered_statistics_of_real_features_are_computed_anew(own: Registry, tmp_path: Path) -> None:
    scores = Scoring(own, tmp_path, [over(4, "spread")]).scores()
    (derived,) = (path for path in (tmp_path / "derived").rglob("*") if path.is_file())
    derived.write_bytes(derived.read_bytes()[:-1] + b"!")
    assert Scoring(own, tmp_path, [over(4, "spread")]).scores() == scores


def test_features_of_other_data_are_not_taken(own: Registry, tmp_path: Path) -> None:
    Scoring(own, tmp_path, [over(4)])
    SEEN.clear()
    Scoring(own, tmp_path, [over(4)], record=RECORD.model_copy(update={"content_sha256": "f" * 64}))
    assert SEEN == {4: TEST + SAMPLES}


def test_metrics_that_compare_with_either_split_get_the_features_of_theirs(own: Registry, tmp_path: Path) -> None:
    data = data_of()
    equal_sizes = replace(data, train=TensorDataset(*(tensor[:TEST] for tensor in data.train.tensors)))
    metrics = [over(4, split="test"), over(4, split="train")]
    scoring = Scoring(own, tmp_path, metrics, data=equal_sizes)
    for prepared, split in zip(scoring.prepared, (equal_sizes.test, equal_sizes.train), strict=True):
        features = torch.cat(list(prepared.real_features.batches()))
        assert torch.equal(features, Thumbnail(ThumbnailOptions())(split.tensors[0]))
    first, second = scoring.scores()
    assert first != second


def test_statistics_of_other_data_are_not_taken(own: Registry, tmp_path: Path) -> None:
    before = Scoring(own, tmp_path / "shared", [over(4, "spread")]).scores()
    half = data_of(test=TEST // 2)
    record = RECORD.model_copy(update={"content_sha256": "f" * 64})
    after, fresh = (
        Scoring(own, tmp_path / folder, [over(4, "spread")], data=half, record=record) for folder in ("shared", "new")
    )
    assert before != after.scores() == fresh.scores()
    assert after.prepared[0].real_data_scores == fresh.prepared[0].real_data_scores


def test_features_of_an_extractor_with_other_weights_are_not_taken(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scoring(own, tmp_path, [over(4)])
    SEEN.clear()
    plain = Thumbnail.__init__

    def with_weights(self: Thumbnail, options: ThumbnailOptions) -> None:
        plain(self, options)
        self.register_buffer("scale", torch.ones(3))

    monkeypatch.setattr(Thumbnail, "__init__", with_weights)
    Scoring(own, tmp_path, [over(4)])
    assert SEEN == {4: TEST + SAMPLES}


def test_a_cache_that_cannot_be_written_is_a_warning_and_the_score_is_right(own: Registry, tmp_path: Path) -> None:
    written = Scoring(own, tmp_path / "cache", [over(4), over(4, "spread")])
    scores = written.scores()
    (tmp_path / "file").write_text("a file where the cache should be")
    with pytest.warns(GanbenchWarning) as warned:
        scoring = Scoring(own, tmp_path / "file", [over(4), over(4, "spread")])
    messages = [str(warning.message) for warning in warned]
    assert f"cannot cache features in {tmp_path / 'file' / 'features'}: Not a directory" in messages
    with pytest.warns(GanbenchWarning, match="cannot write the cache file"):
        assert scoring.scores() == scores
    assert [each.real_data_scores for each in scoring.prepared] == [each.real_data_scores for each in written.prepared]
    assert (tmp_path / "file").read_text() == "a file where the cache should be"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_features_come_back_in_their_batches_as_they_were_extracted(dtype: torch.dtype, tmp_path: Path) -> None:
    batches = [torch.randn(size, 5).to(dtype) for size in (7, 7, 1, 4)]
    batches[1] = batches[1].t().contiguous().t()  # other strides

    def extract(writer: FeatureWriter) -> None:
        for batch in batches:
            writer.append(batch)

    never: Callable[[FeatureWriter], None] = lambda _: pytest.fail("extracted twice")  # noqa: E731
    for each in (extract, never):
        file = cached_features(tmp_path, "key", CPU, each)
        assert len(file) == 19
        for _ in range(2):  # as often as one likes
            read = list(file.batches())
            assert [batch.dtype for batch in read] == [dtype] * 4
            assert all(torch.equal(one, other) for one, other in zip(read, batches, strict=True))


def test_real_features_come_in_the_batches_that_score_images(own: Registry, tmp_path: Path) -> None:
    half = {"name": "means", "features": {"name": "thumbnail", "half": True}}
    (prepared,) = Scoring(own, tmp_path, [half]).prepared
    assert prepared.real_features is not None
    batches = list(prepared.real_features.batches())
    assert [len(batch) for batch in batches] == [64, 64, 64, 8]
    assert {batch.dtype for batch in batches} == {torch.bfloat16}
    assert torch.equal(torch.cat(batches), Thumbnail(ThumbnailOptions(half=True))(SUBSET.test.tensors[0][:TEST]))


def test_a_failed_extraction_leaves_no_features_behind(tmp_path: Path) -> None:
    def extract(writer: FeatureWriter) -> None:
        writer.append(torch.zeros(3, 2))
        raise ValueError("out of luck")

    with pytest.raises(ValueError, match="out of luck"):
        cached_features(tmp_path / "features", "key", CPU, extract)
    assert list((tmp_path / "features").iterdir()) == []


def test_each_value_of_a_metric_has_a_result_with_its_direction_and_score_of_real_data(
    own: Registry, tmp_path: Path
) -> None:
    scoring = Scoring(own, tmp_path, [over(4, "extremes", id="two"), over(4)])
    levels = (0.9, -0.2, 0.1)
    for number, level in enumerate(levels):
        nn.init.zeros_(scoring.networks.generator.linear.weight)
        nn.init.constant_(scoring.networks.generator.linear.bias, level)
        titles = [title for title, _ in scoring.evaluator.evaluate(scoring.networks, 300 * number)]
        assert len(set(titles)) == 3
    distance, brighter, plain = scoring.evaluator.results(600)
    assert [result.id for result in (distance, brighter, plain)] == ["two.distance", "two.brighter", "means"]
    assert [result.higher_is_better for result in (distance, brighter, plain)] == [False, True, False]
    assert distance.label == "extremes (thumbnail-4): distance"
    for one, other in zip(distance.curve, plain.curve, strict=True):
        assert one.value == other.value
    assert distance.best.value == min(point.value for point in distance.curve)
    assert brighter.best.value == max(point.value for point in brighter.curve)
    assert brighter.value == brighter.curve[-1].value
    assert distance.real_data_score == plain.real_data_score
    assert 0 < brighter.real_data_score < 1
    assert brighter.real_data_score != distance.real_data_score
    assert {result.real_data_samples for result in (distance, brighter, plain)} == {SAMPLES}


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({"distance": False, "Brighter": True}, "'distance', 'brighter', but higher_is_better declares .*, 'Brighter'"),
        ({"distance": False}, "'distance', 'brighter', but higher_is_better declares 'distance'"),
        (False, "'distance', 'brighter', but higher_is_better declares a single one"),
    ],
    ids=["misspelt", "one of two", "no names"],
)
def test_values_of_other_names_than_their_directions_have_are_refused(
    directions: Any, message: str, own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extremes, "higher_is_better", directions)
    with pytest.raises(PluginError, match=f"metric 'extremes' .*: the values are {message}"):
        Scoring(own, tmp_path, [over(4, "extremes")])


def test_features_of_images_that_are_not_finite_get_no_score(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(own, tmp_path, [over(4), over(4, "extremes")])
    nn.init.constant_(scoring.networks.generator.linear.bias, torch.nan)
    with monkeypatch.context() as patch:
        patch.setattr(Means, "score", lambda *_: pytest.fail("scored"))
        assert scoring.scores() == [None, None, None]
    for result in scoring.evaluator.results(0):
        assert result.warnings == ["no score where the generated images contain NaN or infinite values"]
    nn.init.zeros_(scoring.networks.generator.linear.bias)
    assert None not in scoring.scores(300)


def test_curves_of_a_metric_with_two_values_go_on_where_a_run_stopped(own: Registry, tmp_path: Path) -> None:
    whole, stopped, resumed = (Scoring(own, tmp_path, [over(4, "extremes")]) for _ in range(3))
    for images in (0, 300):
        whole.scores(images)
    stopped.scores(0)
    resumed.evaluator.resume_from(stopped.evaluator.curves())
    assert resumed.scores(0) == []  # scored already
    resumed.scores(300)
    assert resumed.evaluator.results(300) == whole.evaluator.results(300)


def test_metrics_with_labels_get_those_of_a_conditional_models_images(own: Registry, tmp_path: Path) -> None:
    scoring = Scoring(own, tmp_path, [over(4, "byclass"), {"name": "labelled"}], conditional=True)
    train, test = scoring.data.train.tensors[1], scoring.data.test.tensors[1]
    ((real, scored),) = ByClass.came  # the score of real data
    assert torch.equal(real, test)
    assert len(scored) == SAMPLES
    assert torch.equal(scored, LabelledImages.came[0])
    assert set(scored.tolist()) <= set(train.tolist())
    assert torch.equal(scoring.prepared[1].metric.fitted, test)
    assert None not in scoring.scores()
    real, generated = ByClass.came[-1]
    assert torch.equal(real, test)
    assert torch.equal(generated, LabelledImages.came[-1])
    assert generated.dtype == torch.int64
    assert len(generated.unique()) > 5
    scoring.scores(300)
    assert torch.equal(ByClass.came[-1][1], generated)  # the same labels at every moment
    for result in scoring.evaluator.results(300):
        assert result.protocol["labels"] == "drawn by the class frequencies of the train split"


def test_the_labels_are_those_that_the_images_were_made_with(own: Registry, tmp_path: Path) -> None:
    scoring = Scoring(own, tmp_path, [over(1, "byclass")], conditional=True)
    linear = scoring.networks.generator.linear
    nn.init.zeros_(linear.weight)
    nn.init.constant_(linear.bias, 10.0)  # so that the brightness is the label
    levels: list[Tensor] = []
    plain = Thumbnail.forward

    def noting(self: Thumbnail, images: Tensor) -> Tensor:
        features = plain(self, images)
        levels.append(features.flatten())
        return features

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Thumbnail, "forward", noting)
        scoring.scores()
    labels = ByClass.came[-1][1]
    torch.testing.assert_close(torch.cat(levels), ((labels / 10 + 1) * 127.5).round())


@pytest.mark.parametrize("metric", [over(4, "byclass"), {"name": "labelled"}], ids=["features", "images"])
def test_metrics_with_labels_are_refused_for_unconditional_models(
    metric: dict[str, Any], own: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"metrics\.1: .* requires labels, but .*dcgan.* is unconditional"):
        Scoring(own, tmp_path, [over(4), metric])


def test_without_a_test_split_the_advice_is_to_compare_with_the_train_split(own: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no test split; use -o metrics\.0\.split=train"):
        Scoring(own, tmp_path, [over(4)], data=data_of(test=None))
    scoring = Scoring(own, tmp_path, [over(4, split="train")], data=data_of(test=None))
    assert None not in scoring.scores()
    (result,) = scoring.evaluator.results(0)
    assert result.value is not None
    assert result.real_data_score is None
    assert result.real_data_samples == 0
    assert result.protocol["split"] == "train"
    assert result.protocol["real_samples"] == TRAIN


def test_real_samples_limits_the_real_images_to_the_same_random_ones_in_all_runs(own: Registry, tmp_path: Path) -> None:
    results = []
    for number, keys in enumerate(({}, {"real_samples": TEST}, {"real_samples": 150}, {"real_samples": 150})):
        scoring = Scoring(own, tmp_path / str(number), [over(4, **keys)])
        scoring.scores()
        results += scoring.evaluator.results(0)
    assert [result.protocol["real_samples"] for result in results] == [TEST, TEST, 150, 150]
    values = [result.value for result in results]
    assert values[0] == values[1]
    assert values[2] == values[3] != values[0]


def kid(subset_size: int, **keys: Any) -> dict[str, Any]:
    return over(4, "kid", subsets=2, subset_size=subset_size, **keys)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (kid(SAMPLES + 1), r"'kid' .*subset_size = 131 requires at least 131 .* metrics\.0\.num_samples is 130; use"),
        (kid(TEST + 1, num_samples=300), "subset_size = 201 requires at least 201 .* the test split has 200; use more"),
        (
            kid(51, real_samples=50),
            r"'kid' .*subset_size = 51 requires at least 51 .* metrics\.0\.real_samples is 50; use more images, or "
            r"change metrics\.0\.subsets or metrics\.0\.subset_size$",
        ),
        (over(4, real_samples=TEST + 1), r"real_samples is 201, but the test split has only 200 images"),
        (over(4, "precision-recall", neighbors=SAMPLES), "neighbors = 130 requires at least 131 images"),
        (over(4, "density-coverage", neighbors=SAMPLES), "neighbors = 130 requires at least 131 images"),
        (
            {"name": "inception-score", "features": "fashion-cnn", "splits": SAMPLES + 1},
            "splits = 131 requires at least 131 images",
        ),
    ],
)
def test_too_few_images_for_a_metric_are_refused_before_training(
    metric: dict[str, Any], message: str, own: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        Scoring(own, tmp_path, [metric])


def test_a_test_split_of_one_image_has_no_fid(own: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'fid' .* requires at least 2 images, but the test split has 1; use more"):
        Scoring(own, tmp_path, [over(4, "fid")], data=data_of(1))


def test_too_few_other_real_images_for_a_metric_give_no_real_data_score(own: Registry, tmp_path: Path) -> None:
    scoring = Scoring(own, tmp_path, [kid(TEST + 1, num_samples=250, split="train")])
    assert None not in scoring.scores()
    for result in scoring.evaluator.results(0):
        assert result.real_data_score is None
        assert result.warnings == ["no score of real data: the test split has 200 images, but 201 are required"]


def keep(folder: Path, key: str, age: float, numbers: int = 250) -> Path:
    """Features of 1,000 bytes, last used so many seconds ago."""

    def extract(writer: FeatureWriter) -> None:
        writer.append(torch.zeros(1, numbers))

    path = cached_features(folder, key, CPU, extract).path
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_only_old_features_beyond_the_limit_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    week = features.UNUSED_SECONDS
    kept = {key: keep(tmp_path, key, age) for key, age in (("new", 10), ("recent", week / 2), ("old", week + 10))}
    oldest = keep(tmp_path, "oldest", 2 * week)
    keep(tmp_path, "another", 0)
    assert oldest.exists()  # old, and within the limit
    monkeypatch.setattr(features, "CACHE_BYTES", 4_500)
    keep(tmp_path, "one more", 0)
    assert not oldest.exists()
    assert not oldest.with_suffix(".layout").exists()
    assert not kept["old"].exists()
    monkeypatch.setattr(features, "CACHE_BYTES", 0)
    keep(tmp_path, "the last", 0)
    left = {path.stem for path in tmp_path.glob("*.bin")}
    assert left == {path.stem for path in tmp_path.glob("*.layout")}
    assert left == {"new", "recent", "another", "one more", "the last"}  # a run may still need them


def test_a_file_that_another_process_has_just_renamed_is_no_reason_to_extract_again(tmp_path: Path) -> None:
    (tmp_path / ".other.bin.1234.part.bin").symlink_to(tmp_path / "renamed since")
    assert keep(tmp_path, "key", 0).exists()


def test_features_that_are_used_again_count_as_new(tmp_path: Path) -> None:
    path = keep(tmp_path, "key", 2 * features.UNUSED_SECONDS)
    cached_features(tmp_path, "key", CPU, lambda _: pytest.fail("extracted twice"))
    assert time.time() - path.stat().st_mtime < features.UNUSED_SECONDS


def test_a_metric_of_the_average_scores_other_weights_than_one_of_the_trained(own: Registry, tmp_path: Path) -> None:
    average = Shining(conditional=False)
    nn.init.zeros_(average.linear.weight)
    nn.init.zeros_(average.linear.bias)
    metrics = [over(4, id="trained"), over(4, id="average", weights="ema")]
    scoring = Scoring(own, tmp_path, metrics, average=average)
    trained, averaged = scoring.scores()
    grey = torch.full((SAMPLES, 1, 28, 28), 128, dtype=torch.uint8)
    assert averaged == pytest.approx(directly(scoring.data, grey), rel=1e-6)
    assert trained != averaged
    assert [trained] == Scoring(own, tmp_path, [over(4)]).scores()
    protocols = [result.protocol for result in scoring.evaluator.results(0)]
    assert [protocol["weights"] for protocol in protocols] == ["raw", "EMA, half-life 10 kimg, ramp 0.05"]


def test_a_run_scores_the_trained_generator_and_its_average(registry: Registry, tmp_path: Path) -> None:
    metric = '{name="fid", features="fashion-cnn", num_samples=140, at_epochs=[0], id="ID", weights="WEIGHTS"}'
    both = [metric.replace("ID", weights).replace("WEIGHTS", weights) for weights in ("raw", "ema")]
    overrides = ["dataset.source=embedded", "model.width=2", "training.steps=4", "sample_images.generated=0"]
    overrides += [f"metrics=[{', '.join(both)}]", "ema.half_life_kimg=0.1", "training.batch_size=128"]
    spec, _ = load_spec("dcgan-fashion", registry, overrides)
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    raw, ema = result.metrics
    assert raw.curve[0].value == ema.curve[0].value  # before training they are the same
    assert raw.value != ema.value
    assert [metric.protocol["weights"] for metric in (raw, ema)] == ["raw", "EMA, half-life 0.1 kimg, ramp 0.05"]
    assert raw.real_data_score == ema.real_data_score


CONDITIONAL = """
from ganbench import MetricPlugin

class Conditional(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs, labels):
        return self.network(inputs) * (labels.view(-1, *[1] * (3 if inputs.ndim == 2 else 1)) / 10)

def build_model(options, context):
    return Networks(Conditional(generator()), Conditional(discriminator()), LATENT, conditional=True)

class ShareOfShirts:
    label, higher_is_better, protocol, uses_labels = "share of shirts", True, {}, True

    def __init__(self):
        self.labels = []

    def fit(self, reference):
        self.real = (reference.labels == 6).double().mean().item()

    def update(self, images, labels):
        assert all(image.eq(128).all() == (label == 0) for image, label in zip(images, labels))
        self.labels.append(labels)

    def compute(self):
        labels = torch.cat(self.labels)
        self.labels.clear()
        return (labels == 6).double().mean().item()

@hookimpl
def ganbench_metrics():
    return [MetricPlugin(name="shirts", summary="Share of shirts", build=lambda options, context: ShareOfShirts())]
"""


def test_a_run_of_a_conditional_model_scores_images_with_the_labels_that_they_were_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganbench.scoring.preparation.score_real_data", lambda *_: None)  # of which images are not 0
    metrics = 'metrics=[{name="shirts", num_samples=2000, at_epochs=[0]}]'
    result, _ = own_run(tmp_path, CONDITIONAL, ["loss=bce", metrics, "sample_images.generated=10"])
    (shirts,) = result.metrics
    labels = few_images().tensors[1]
    assert [point.value for point in shirts.curve] == [pytest.approx(labels.eq(6).double().mean().item(), abs=0.03)] * 2
    assert shirts.protocol["labels"] == "drawn by the class frequencies of the train split"


def test_an_extractor_that_fails_amid_training_is_named_with_its_metric(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(own, tmp_path, [over(4)])

    def unfinished(*_: object) -> Iterator[None]:
        raise NotImplementedError("to do")

    monkeypatch.setattr(Thumbnail, "forward", unfinished)
    with pytest.raises(PluginError, match=r"metric 'means' .* raised during feature extraction: .*to do"):
        scoring.scores()
    monkeypatch.undo()
    assert None not in scoring.scores()


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda features: features.view(-1, 4, 2, 2), r"float32 of shape \(64, 4, 2, 2\)"),
        (lambda features: features.repeat_interleave(4, 0), r"float32 of shape \(256, 16\)"),
        (lambda features: features[:, :8], r"float32 of shape \(64, 8\)"),
        (lambda features: features.int(), r"int32 of shape \(64, 16\)"),
        (lambda features: [features], "a list of 1|a tuple of 1"),
    ],
    ids=["positions", "patches", "fewer", "integers", "list"],
)
@pytest.mark.parametrize("of", ["real", "generated"])
def test_other_features_than_an_extractor_declares_are_refused(
    of: str, change: Callable[[Tensor], Any], got: str, own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be stored and read as those of other images."""
    scoring = Scoring(own, tmp_path, [over(4)]) if of == "generated" else None
    forward = Thumbnail.forward
    monkeypatch.setattr(Thumbnail, "forward", lambda self, images: change(forward(self, images)))
    message = rf"extractor 'thumbnail' .*: for 64 images, it must return a .* of shape \(64, 16\), got .*({got})"
    with pytest.raises(PluginError, match=message):
        scoring.scores() if scoring else Scoring(own, tmp_path, [over(4)])


def test_a_value_that_is_not_finite_is_no_score_and_the_result_says_so(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring(own, tmp_path, [over(4), over(4, "extremes")])
    forward = Thumbnail.forward
    monkeypatch.setattr(Thumbnail, "forward", lambda self, images: forward(self, images) * torch.inf)
    assert scoring.scores()[:2] == [None, None]
    means, distance, _ = scoring.evaluator.results(0)
    assert means.warnings == ["no score, because the value is NaN or infinite"]
    assert distance.warnings == ["no score, because the value is NaN or infinite: distance"]


def test_what_plugins_declare_replaces_no_entry_of_the_protocol(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extractor may name what it was trained on `data`."""
    plain = Thumbnail.__init__

    def with_entries(self: Thumbnail, options: ThumbnailOptions) -> None:
        plain(self, options)
        self.protocol |= {"data": "photos", "weights": "v1", "estimator": "pooling"}

    monkeypatch.setattr(Thumbnail, "__init__", with_entries)
    monkeypatch.setattr(Means, "protocol", {"estimator": "means"})
    (result,) = results_of(Scoring(own, tmp_path, [over(4)]))
    expected = {
        "data": RECORD.content_sha256,
        "data of the extractor": "photos",
        "weights": "raw",
        "weights of the extractor": "v1",
        "estimator": "pooling",
        "estimator of the metric": "means",
    }
    assert {name: result.protocol[name] for name in expected} == expected
    SEEN.clear()
    other = Scoring(own, tmp_path, [over(4)], record=RECORD.model_copy(update={"content_sha256": "f" * 64}))
    assert SEEN == {4: TEST + SAMPLES}  # its features, and its score of real data, are not those of the first data
    assert results_of(other)[0].protocol != result.protocol


def results_of(scoring: Scoring) -> list[MetricResult]:
    scoring.scores()
    return scoring.evaluator.results(0)


@pytest.mark.filterwarnings("ignore:cannot cache features")
@pytest.mark.parametrize("of", ["real", "generated"])
def test_a_full_disk_is_named_and_not_the_plugin(of: str, own: Registry, tmp_path: Path) -> None:
    scoring = Scoring(own, tmp_path, [over(4)]) if of == "generated" else None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(DataError, match=r"^cannot write features to .*: File too large; free space there"):
            scoring.scores() if scoring else Scoring(own, tmp_path, [over(4)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_cache_that_can_only_be_read_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep(tmp_path, "key", 0)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    assert cached_features(tmp_path, "key", CPU, lambda _: pytest.fail("extracted twice")).path == kept


def test_generated_features_leave_no_files_behind(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    scoring = Scoring(own, tmp_path / "cache", [over(4)])
    before = set((tmp_path / "cache").rglob("*"))
    scoring.scores()
    assert list(scratch.iterdir()) == []
    assert set((tmp_path / "cache").rglob("*")) == before
