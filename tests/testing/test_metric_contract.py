"""The contract of metrics accepts valid ones, rejects others with their scores, and leaves no files."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import pytest
from broken_plugins.metric import Blind, Misspelt, Nearest, OneReversed, Reversed, Two, metric

from ganbench.testing import MetricContract


def contract_of(kind: type[Nearest]) -> MetricContract:
    contract = MetricContract()
    contract.plugin = metric(kind)  # type: ignore[misc]
    return contract


def test_a_precision_of_1_for_negatives_is_accepted() -> None:
    contract = contract_of(Nearest)
    nearest, images = contract.build(), contract.images()
    assert contract.scores(nearest, images, 8) == contract.scores(nearest, -images, 8) == {"": 1.0}
    contract.test_real_images_score_better_than_other_images()


@pytest.mark.parametrize(("kind", "verdict"), [(Blind, "no better than others"), (Reversed, "worse than others")])
def test_a_metric_that_does_not_distinguish_images_is_rejected_with_its_scores(
    kind: type[Nearest], verdict: str
) -> None:
    with pytest.raises(AssertionError, match=f"real images score {verdict}: real images score .*'noise': "):
        contract_of(kind).test_real_images_score_better_than_other_images()


def test_each_value_of_a_metric_must_be_better_for_real_images() -> None:
    contract_of(Two).test_real_images_score_better_than_other_images()
    contract_of(Two).test_a_score_does_not_depend_on_batches_or_previous_scores()
    with pytest.raises(AssertionError, match="real images score worse than others"):
        contract_of(OneReversed).test_real_images_score_better_than_other_images()
    with pytest.raises(AssertionError, match="expected values called"):
        contract_of(Misspelt).test_the_direction_of_every_value_is_known()


def test_contracts_leave_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    contract = contract_of(Nearest)
    folder = contract.context().cache_dir
    assert folder.is_dir()
    assert folder.parent == tmp_path
    del contract
    gc.collect()
    assert not folder.exists()
