"""Metrics with labels, and metrics of the average of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from linear_gan import few_images, own_run
from run_spec import run
from thumbnail_metrics import (
    SAMPLES,
    ByClass,
    LabelledImages,
    Means,
    Scoring,
    Shining,
    Thumbnail,
    directly,
    over,
)
from torch import Tensor, nn

from ganbench import (
    UsageError,
)
from ganbench.plugin.registry import Registry
from ganbench.spec.loading import load_spec

pytestmark = pytest.mark.usefixtures("nothing_seen")


def test_metrics_with_labels_get_those_of_a_conditional_models_images(thumbnails: Registry, tmp_path: Path) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4, "byclass"), {"name": "labelled"}], conditional=True)
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


def test_the_labels_are_those_that_the_images_were_made_with(thumbnails: Registry, tmp_path: Path) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(1, "byclass")], conditional=True)
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


def test_only_real_images_have_labels_for_a_metric_that_uses_no_others(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images to be scored may have none, such as those of files."""
    labels: list[tuple[Tensor | None, Tensor | None]] = []
    monkeypatch.setattr(Means, "uses_real_labels", True, raising=False)
    monkeypatch.setattr(Means, "score", lambda _, real, other: labels.append((real.labels, other.labels)) or 0.0)
    scoring = Scoring(thumbnails, tmp_path, [over(4)])
    scoring.scores()
    assert len(labels) == 2  # of real images of the other split, and of generated ones
    for real, other in labels:
        assert torch.equal(real, scoring.data.test.tensors[1])
        assert other is None


@pytest.mark.parametrize("metric", [over(4, "byclass"), {"name": "labelled"}], ids=["features", "images"])
def test_metrics_with_labels_are_refused_for_unconditional_models(
    metric: dict[str, Any], thumbnails: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"metrics\.1: .* requires labels, but .*dcgan.* is unconditional"):
        Scoring(thumbnails, tmp_path, [over(4), metric])


def test_a_metric_of_the_average_scores_other_weights_than_one_of_the_trained(
    thumbnails: Registry, tmp_path: Path
) -> None:
    average = Shining(conditional=False)
    nn.init.zeros_(average.linear.weight)
    nn.init.zeros_(average.linear.bias)
    metrics = [over(4, id="trained"), over(4, id="average", weights="ema")]
    scoring = Scoring(thumbnails, tmp_path, metrics, average=average)
    trained, averaged = scoring.scores()
    grey = torch.full((SAMPLES, 1, 28, 28), 128, dtype=torch.uint8)
    assert averaged == pytest.approx(directly(scoring.data, grey), rel=1e-6)
    assert trained != averaged
    assert [trained] == Scoring(thumbnails, tmp_path, [over(4)]).scores()
    protocols = [result.protocol for result in scoring.evaluator.results(0)]
    assert [protocol["weights"] for protocol in protocols] == ["raw", "EMA, half-life 10 kimg, ramp 0.05"]


def test_a_run_scores_the_trained_generator_and_its_average(registry: Registry, tmp_path: Path) -> None:
    metric = '{name="fid", features="fashion-cnn", num_samples=140, at_epochs=[0], id="ID", weights="WEIGHTS"}'
    both = [metric.replace("ID", weights).replace("WEIGHTS", weights) for weights in ("raw", "ema")]
    overrides = ["dataset.source=embedded", "model.width=2", "training.steps=4", "sample_images.generated=0"]
    overrides += [f"metrics=[{', '.join(both)}]", "ema.half_life_kimg=0.1", "training.batch_size=128"]
    spec = load_spec("dcgan-fashion", registry, overrides)
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
