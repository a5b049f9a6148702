"""Conditional models: labels reach both networks, follow the class frequencies, and are in scores and sample images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conditional_gan import CONDITIONAL, SOURCE
from linear_gan import Noting, own_run
from run_spec import run
from torch.utils.data import TensorDataset

from ganbench import ImageData, PluginError, Registry, Result, UsageError
from ganbench.data.labels import LabelSampler, count_labels
from ganbench.runtime.rng import make_rng
from ganbench.spec.loading import load_spec


@pytest.fixture
def conditional(tmp_path: Path) -> Any:
    def make(*overrides: str, source: str = SOURCE, name: str = "run", **arguments: Any) -> tuple[Result, Noting]:
        (tmp_path / "conditional.py").write_text(source)
        registry = Registry.load([str(tmp_path / "conditional.py")])
        spec = load_spec("dcgan-fashion", registry, [*CONDITIONAL, *overrides])
        watch = Noting()
        return run(spec, device="cpu", out=tmp_path / name, callback=watch, **arguments)[0], watch

    return make


def test_labels_are_drawn_by_the_class_frequencies() -> None:
    sampler = LabelSampler([10, 0, 30, 60], "cpu")
    labels = sampler.draw(100_000, make_rng(0, "test"))
    assert labels.dtype == torch.int64
    shares = torch.bincount(labels, minlength=4) / len(labels)
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.0, 0.3, 0.6]), atol=0.01, rtol=0)
    assert sampler.cycle(7).tolist() == [0, 2, 3, 0, 2, 3, 0]


def test_a_class_without_images_is_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.zeros(count))  # the smallest value of torch.rand
    assert LabelSampler([0, 0, 5], "cpu").draw(3, make_rng(0, "test")).tolist() == [2, 2, 2]
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), 1 - 2**-24))  # the largest
    assert LabelSampler([1, 2, 0], "cpu").draw(3, make_rng(0, "test")).tolist() == [1, 1, 1]


def data(counts: Any = None, train: Any = None, classes: int = 3) -> ImageData:
    split = TensorDataset(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 2, 2, 2]))
    return ImageData(train or split, split, classes, "test", "ab", label_counts=counts)


def test_labels_in_memory_are_counted_and_those_of_streamed_data_must_be_given() -> None:
    streamed: Any = [(torch.zeros(1, 2, 2, dtype=torch.uint8), 0)] * 4
    assert count_labels(data(), "the dataset", "the model") == (1, 0, 3)
    assert count_labels(data((4, 0, 0), streamed), "the dataset", "the model") == (4, 0, 0)
    with pytest.raises(PluginError, match="the dataset: label_counts is missing, and the model requires it"):
        count_labels(data(train=streamed), "the dataset", "the model")
    with pytest.raises(UsageError, match=r"the model is conditional, but the dataset has no classes"):
        count_labels(data(classes=1), "the dataset", "the model")


def test_a_conditional_model_trains_is_scored_and_saves_sample_images(conditional: Any, tmp_path: Path) -> None:
    metric = 'metrics=[{name="fid",features="fashion-cnn",num_samples=20}]'
    result, _ = conditional(metric, "sample_images.generated=10")
    assert result.status == "completed"
    assert result.metrics[0].protocol["labels"] == "drawn by the class frequencies of the train split"
    assert (tmp_path / "run" / "samples" / "step-000012.png").exists() or list((tmp_path / "run" / "samples").iterdir())


def test_labels_matter_to_the_loss(conditional: Any) -> None:
    blind = SOURCE.replace("batch.fake_labels)", "torch.zeros_like(batch.fake_labels))")
    seeing, _ = conditional(name="seeing")
    ignoring, _ = conditional(source=blind, name="ignoring")
    assert seeing.history[-1].d_loss != ignoring.history[-1].d_loss


def test_a_conditional_model_needs_data_with_classes(conditional: Any) -> None:
    source = SOURCE.replace(
        "few_images(), other_images(), 10",
        "torch.utils.data.TensorDataset(few_images().tensors[0], torch.zeros(40).long()), None, 1",
    )
    with pytest.raises(UsageError, match=r"is conditional, but .* has no classes"):
        conditional(source=source)


def test_a_loss_that_needs_labels_refuses_an_unconditional_model(tmp_path: Path) -> None:
    source = """
    def build_loss(options, context):
        class Needy(LeastSquares):
            needs_labels = True
        return Needy()
    """
    with pytest.raises(UsageError, match=r"loss 'own' \(.*\) needs a conditional model, but model 'own' "):
        own_run(tmp_path, source)


def test_a_loss_that_pairs_images_gets_generated_ones_of_the_same_classes(conditional: Any) -> None:
    for pairs in (True, False):
        source = SOURCE.replace("class Hinge:", f"class Hinge:\n    pairs_images = {pairs}")
        for player in ("discriminator", "generator"):
            head = f"    def {player}_loss(self, players, batch):\n"
            source = source.replace(
                head, f"{head}        assert torch.equal(batch.labels, batch.fake_labels) is {pairs}\n"
            )
        assert conditional(source=source, name=f"pairs-{pairs}")[0].status == "completed"
