"""What metrics draw, change and raise leaves no trace in the training."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from brightness import (
    Brightness,
    BrightnessScoring,
    assert_unchanged,
    snapshot,
    spec_with,
    unfinished,
)
from registries import with_plugins
from scored_subset import RECORD

from ganbench import MetricPlugin, Networks, PluginError
from ganbench_losses.bce import BinaryCrossEntropy


class Touching:
    """A metric of the networks that runs them as training does."""

    label = "loss on other noise"
    higher_is_better = False
    protocol = {"implementation": "a test's"}

    def measure(self, networks: Networks, loss: Any) -> float:
        networks.discriminator.eval()
        loss.seen += 1
        return networks.generator(torch.randn(8, networks.latent_dim)).mean().item()


class Counting(BinaryCrossEntropy):
    seen = 3

    def state_dict(self) -> dict[str, int]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.seen = state["seen"]


def test_a_metric_of_the_networks_leaves_them_and_the_loss_as_they_were(scoring: BrightnessScoring) -> None:
    plugin = MetricPlugin(name="touching", summary="A test's", build=lambda _, __: Touching())
    loss = Counting()
    spec = spec_with(with_plugins(scoring.registry, plugin), {"name": "touching"})
    evaluator = scoring.evaluator_for(spec, loss)
    before = [copy.deepcopy(scoring.networks[player].state_dict()) for player in ("generator", "discriminator")]
    random = torch.get_rng_state()
    ((label, point),) = evaluator.evaluate(scoring.networks, 0)
    assert label == "loss on other noise"
    assert math.isfinite(point.value)
    after = [scoring.networks[player].state_dict() for player in ("generator", "discriminator")]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert scoring.networks.discriminator.training
    assert loss.seen == 3
    (result,) = evaluator.results(0)
    assert result.real_data_score is None
    assert result.protocol["loss"] == "bce@ganbench"
    assert result.protocol["data"] == RECORD.content_sha256
    assert "generated_samples" not in result.protocol
    assert "loss bce" in result.software


def test_the_value_of_a_metric_does_not_depend_on_what_other_metrics_draw(
    monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    monkeypatch.setattr(Brightness, "compute", lambda _: torch.rand(()).item())
    plugin = MetricPlugin(name="touching", summary="A test's", build=lambda _, __: Touching())
    metrics = [{"name": "touching", "id": name} for name in "ab"]
    of_networks = spec_with(with_plugins(scoring.registry, plugin), *metrics)
    for spec in (of_networks, scoring.brightness_spec({}, {})):
        points = scoring.evaluator_for(spec, Counting()).evaluate(scoring.networks, 0)
        assert len({point.value for _, point in points}) == 1


def test_what_a_metric_draws_and_computes_is_kept_from_the_training(
    monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    draws = []

    def compute(_: Brightness) -> float:
        assert not torch.is_grad_enabled()
        draws.append(torch.rand(()).item())
        return draws[-1]

    monkeypatch.setattr(Brightness, "compute", compute)
    evaluator = scoring.evaluator()
    before = torch.get_rng_state()
    for epoch in (0, 1):
        evaluator.evaluate(scoring.networks, 300 * epoch)
    assert torch.equal(torch.get_rng_state(), before)
    assert draws[-1] == draws[-2]  # the same whenever it is scored


@pytest.mark.parametrize("method", ["update", "compute"])
def test_a_metric_that_fails_amid_training_is_named_and_leaves_the_generator_as_it_was(
    method: str, monkeypatch: pytest.MonkeyPatch, scoring: BrightnessScoring
) -> None:
    evaluator = scoring.evaluator({"generator_mode": "train"})
    before = snapshot(scoring.networks.generator)
    monkeypatch.setattr(Brightness, method, unfinished)
    with pytest.raises(PluginError, match=f"metric 'brightness' .* raised in {method}: NotImplementedError: to do"):
        evaluator.evaluate(scoring.networks, 0)
    assert torch.is_grad_enabled()
    assert_unchanged(scoring.networks.generator, before)
