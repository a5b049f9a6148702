"""Scores are computed on shared images when they are due, and carry their whole protocol."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from brightness import (
    BATCH,
    SCORING_BATCH,
    Brightness,
    BrightnessScoring,
    compute_with_warning,
    spec_with,
    unfinished,
)
from scored_subset import RECORD
from torch import Tensor, nn

from ganbench import Options, PluginError
from ganbench.plugin.kinds import Kind
from ganbench.scoring.identity import state_hash
from ganbench.scoring.preparation import prepare_metrics
from ganbench.scoring.sampling import CLIPPED, GRAY
from ganbench.spec.configs import GeneratorMode
from ganbench.spec.length import Events, Length
from ganbench_features.fashion_cnn import WEIGHTS_SHA256
from ganbench_losses.bce import BinaryCrossEntropy


def test_metrics_that_want_the_same_images_share_them(scoring: BrightnessScoring) -> None:
    wanted = {"num_samples": 40, "generator_mode": "train"}
    first, second = scoring.evaluator(wanted, {**wanted, "higher_is_better": True}).evaluate(scoring.networks, 0)
    assert scoring.batches == [BATCH] * 3
    assert first[1] == second[1]


def test_metrics_that_want_other_images_get_their_own(scoring: BrightnessScoring) -> None:
    wanted = {"num_samples": 40, "generator_mode": "train"}
    evaluator = scoring.evaluator(wanted, {**wanted, "num_samples": 20}, {**wanted, "generator_mode": "eval"})
    evaluator.evaluate(scoring.networks, 0)
    assert scoring.batches == [BATCH] * 3 + [BATCH] * 2 + [SCORING_BATCH]


def test_metrics_are_scored_when_they_are_due_and_once_at_the_end(scoring: BrightnessScoring) -> None:
    spec = scoring.brightness_spec({"at_epochs": [0, 2]}, {"at_epochs": [5]})
    evaluator, length = scoring.evaluator_for(spec), Length.of(spec.training, len(scoring.data.train))
    due = [Events(spec, length).scores(length.steps_per_epoch * epoch) for epoch in range(4)]
    assert due == [["brightness-0"], [], ["brightness-0"], []]
    for epoch in range(3):
        evaluator.evaluate(scoring.networks, 300 * epoch, due[epoch])
    assert len(evaluator.results(600)) == 1  # the other has no value yet
    evaluator.evaluate(scoring.networks, 600)
    curves = [[(point.epoch, point.images) for point in result.curve] for result in evaluator.results(600)]
    assert curves == [[(0, 0), (2, 600)], [(2, 600)]]


@pytest.mark.parametrize(("higher_is_better", "best_epoch"), [(False, 1), (True, 2)])
def test_a_result_has_the_whole_curve_the_best_and_the_last_value(
    higher_is_better: bool, best_epoch: int, scoring: BrightnessScoring
) -> None:
    evaluator = scoring.evaluator({"higher_is_better": higher_is_better})
    for epoch, level in enumerate((0.0, -0.6, 0.8, 0.2)):
        scoring.shine(level)
        evaluator.evaluate(scoring.networks, 300 * epoch)
    (result,) = evaluator.results(900)
    assert [point.value for point in result.curve] == [128, 51, 230, 153]  # rounded grey levels
    assert result.value == 153
    assert result.best == result.curve[best_epoch]


def test_a_run_that_ended_after_its_last_score_has_no_value_at_the_end(scoring: BrightnessScoring) -> None:
    evaluator = scoring.evaluator()
    evaluator.evaluate(scoring.networks, 0)
    (result,) = evaluator.results(300)
    assert result.value is None
    assert result.best == result.curve[0]


def test_a_score_that_is_not_finite_is_none_and_never_the_best(
    monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    evaluator = scoring.evaluator()
    evaluator.evaluate(scoring.networks, 0)
    monkeypatch.setattr(Brightness, "compute", lambda _: math.nan)
    evaluator.evaluate(scoring.networks, 300)
    (result,) = evaluator.results(300)
    assert [point.value is None for point in result.curve] == [False, True]
    assert result.best == result.curve[0]
    assert type(result).model_validate_json(result.model_dump_json()) == result


def test_a_warning_about_a_score_is_reported_once_and_stored(
    monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    monkeypatch.setattr(Brightness, "compute", compute_with_warning)
    evaluator, reported = scoring.evaluator(), []
    evaluator.warn = reported.append
    (scored,) = evaluator.metrics
    scored.prepared.warnings.clear()  # the real images' score has warned already
    for epoch in (0, 1):
        evaluator.evaluate(scoring.networks, 300 * epoch)
    assert reported == ["brightness: too dark to compare"]
    assert evaluator.results(300)[0].warnings == ["too dark to compare"]
    monkeypatch.undo()
    resumed = scoring.evaluator()
    resumed.resume_from(evaluator.curves(), evaluator.warnings())
    assert resumed.results(300)[0].warnings == ["too dark to compare"]


@pytest.mark.parametrize(
    ("change", "problems"),
    [(lambda images: 1000 * images, [CLIPPED]), (torch.abs, [GRAY]), (torch.clone, [])],
    ids=["clipped", "gray", "nothing"],
)
def test_what_is_wrong_with_generated_images_is_stored_with_their_scores(
    change: Callable[[Tensor], Tensor], problems: list[str], scoring: BrightnessScoring
) -> None:
    scoring.networks.generator.register_forward_hook(lambda _module, _latents, images: change(images))
    evaluator = scoring.evaluator({}, {"num_samples": 30})
    for epoch in (0, 1):
        evaluator.evaluate(scoring.networks, 300 * epoch)
    assert [result.warnings for result in evaluator.results(300)] == [problems, problems]


@pytest.mark.parametrize(("mode", "batch_norm"), [("eval", "running statistics"), ("train", f"batches of {BATCH}")])
def test_a_protocol_is_complete(mode: GeneratorMode, batch_norm: str, scoring: BrightnessScoring) -> None:
    choice = {"name": "fid", "features": "fashion-cnn", "num_samples": 150, "split": "train", "generator_mode": mode}
    (metric,) = prepare_metrics(
        spec_with(scoring.registry, choice),
        scoring.real_data(),
        BinaryCrossEntropy(),
        scoring.networks,
        lambda _: None,
    )
    network = scoring.registry.find(Kind.FEATURE_EXTRACTOR, "fashion-cnn").build(Options(), scoring.context)
    assert metric.protocol == {
        "metric": "fid@ganbench",
        "metric.features": "fashion-cnn@ganbench",
        "metric.features.state": state_hash(network),
        "statistics": "float64",
        "extractor": "fashion-cnn",
        "weights_sha256": WEIGHTS_SHA256,
        "resize": "none",
        "data": RECORD.content_sha256,
        "split": "train",
        "real_samples": 300,
        "generated_samples": 150,
        "quantization": "uint8, rounded",
        "weights": "raw",
        "batch_norm": batch_norm,
    }
    assert metric.software["torch"] == torch.__version__.partition("+")[0]
    assert metric.software["torchmetrics"]
    for name in ("ganbench", "metric fid", "feature-extractor fashion-cnn"):
        assert "source" in metric.software[name]


def test_batch_norm_without_running_statistics_uses_those_of_batches_in_both_modes(scoring: BrightnessScoring) -> None:
    for module in scoring.networks.generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    evaluator = scoring.evaluator({}, {"generator_mode": "train"})
    found = [protocol["batch_norm"] for protocol in evaluator.protocols().values()]
    assert found == [f"batches of {SCORING_BATCH}", f"batches of {BATCH}"]


@pytest.mark.parametrize("method", ["fit", "update", "compute"])
def test_an_unfinished_metric_is_named(
    method: str, monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    monkeypatch.setattr(Brightness, method, unfinished)
    with pytest.raises(PluginError, match=f"metric 'brightness' .* raised in {method}: NotImplementedError: to do"):
        scoring.evaluator()
