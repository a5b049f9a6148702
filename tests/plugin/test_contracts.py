"""The contract tests accept valid plugins, reject invalid ones with a reason, and leave no files."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganbench import MetricPlugin
from ganbench.testing import MetricContract


class Nearest:
    """The fraction of images within the nearest-neighbor distance of a real image."""

    higher_is_better, label, protocol = True, "precision", {}

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def flat(self, images: Tensor) -> Tensor:
        return (images.double().flatten(1) - 127.5).abs()  # the same for images and their negatives

    def fit(self, reference: Any) -> None:
        self.real = torch.cat([self.flat(batch) for batch in reference.batches()])
        self.radius = torch.cdist(self.real, self.real).topk(4, largest=False).values[:, -1]

    def update(self, images: Tensor) -> None:
        self.batches.append(self.flat(images))

    def compute(self) -> float:
        distances = torch.cdist(torch.cat(self.batches), self.real)
        self.batches.clear()
        return (distances <= self.radius + 1.0).any(1).double().mean().item()


class Blind(Nearest):
    def compute(self) -> float:
        self.batches.clear()
        return 1.0


class Reversed(Nearest):
    def compute(self) -> float:
        return -super().compute()


class Two(Nearest):
    """Has a second value, which is lower for real images."""

    higher_is_better = {"precision": True, "misses": False}

    def compute(self) -> dict[str, float]:
        precision = super().compute()
        return {"precision": precision, "misses": 1 - precision}


class OneReversed(Two):
    higher_is_better = {"precision": True, "misses": True}


class Misspelt(Two):
    higher_is_better = {"precision": True, "miss": False}


def contract_of(metric: type[Nearest]) -> MetricContract:
    contract = MetricContract()
    plugin = MetricPlugin(name="nearest", summary="Nearest", build=lambda *_: metric())
    contract.plugin = plugin  # type: ignore[misc]
    return contract


def test_a_precision_of_1_for_negatives_is_accepted() -> None:
    contract = contract_of(Nearest)
    metric, images = contract.build(), contract.images()
    assert contract.scores(metric, images, 8) == contract.scores(metric, -images, 8) == {"": 1.0}
    contract.test_real_images_score_better_than_other_images()


@pytest.mark.parametrize(("metric", "verdict"), [(Blind, "no better than others"), (Reversed, "worse than others")])
def test_a_metric_that_does_not_distinguish_images_is_rejected_with_its_scores(
    metric: type[Nearest], verdict: str
) -> None:
    with pytest.raises(AssertionError, match=f"real images score {verdict}: real images score .*'noise': "):
        contract_of(metric).test_real_images_score_better_than_other_images()


def test_each_value_of_a_metric_must_be_better_for_real_images() -> None:
    contract_of(Two).test_real_images_score_better_than_other_images()
    contract_of(Two).test_a_score_does_not_depend_on_batches_or_previous_scores()
    with pytest.raises(AssertionError, match="real images score worse than others"):
        contract_of(OneReversed).test_real_images_score_better_than_other_images()
    with pytest.raises(AssertionError, match="the values must have the names in higher_is_better"):
        contract_of(Misspelt).test_real_images_score_better_than_other_images()


def test_contracts_leave_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    contract = contract_of(Nearest)
    folder = contract.context().cache_dir
    assert folder.is_dir()
    assert folder.parent == tmp_path
    del contract
    gc.collect()
    assert not folder.exists()
