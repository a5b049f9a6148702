"""gaussian-ring and gaussian-grid: modes where they were published, and the same points in every run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ganbench import DatasetContext, ImageData
from ganbench.testing import DatasetContract
from ganbench_datasets import gaussian_grid, gaussian_ring


class TestRing(DatasetContract):
    plugin = gaussian_ring.PLUGIN
    options = {"train_points": 800, "test_points": 80}


class TestGrid(DatasetContract):
    plugin = gaussian_grid.PLUGIN
    options = {"train_points": 800, "test_points": 80}


def build(plugin: Any, seed: int = 0, **options: Any) -> ImageData:
    return plugin.build(plugin.options(**options), DatasetContext(data_dir=None, cache_dir=None, seed=seed))  # type: ignore[arg-type]


def moments(data: ImageData) -> tuple[Tensor, Tensor, Tensor]:
    """The number of train points, the mean and the standard deviation of each class."""
    points, labels = data.train.tensors  # type: ignore[attr-defined]
    classes = [points[labels == label].double() for label in range(data.num_classes)]
    counts = torch.tensor([len(each) for each in classes])
    return counts, torch.stack([each.mean(0) for each in classes]), torch.stack([each.std(0) for each in classes])


def test_the_ring_has_eight_equal_modes_with_radius_2_and_deviation_0_02() -> None:
    counts, means, stds = moments(build(gaussian_ring.PLUGIN))
    assert counts.tolist() == [6250] * 8
    eighth = 2**0.5
    expected = [(2, 0), (eighth, eighth), (0, 2), (-eighth, eighth)]
    expected += [(-x, -y) for x, y in expected]
    torch.testing.assert_close(means, torch.tensor(expected).double(), rtol=0, atol=5 * 0.02 / 6250**0.5)
    torch.testing.assert_close(stds, torch.full((8, 2), 0.02).double(), rtol=0.05, atol=0)


def test_the_grid_has_25_equal_modes_with_spacing_2_and_deviation_0_05() -> None:
    counts, means, stds = moments(build(gaussian_grid.PLUGIN))
    assert counts.tolist() == [2000] * 25
    expected = [(-4.0 + 2 * column, -4.0 + 2 * row) for row in range(5) for column in range(5)]
    torch.testing.assert_close(means, torch.tensor(expected).double(), rtol=0, atol=5 * 0.05 / 2000**0.5)
    torch.testing.assert_close(stds, torch.full((25, 2), 0.05).double(), rtol=0.1, atol=0)


def test_options_change_the_modes() -> None:
    _, means, stds = moments(build(gaussian_ring.PLUGIN, modes=4, radius=1.0, std=0.1, train_points=4000))
    corners = torch.tensor([(1, 0), (0, 1), (-1, 0), (0, -1)]).double()
    torch.testing.assert_close(means, corners, rtol=0, atol=0.02)
    assert stds.mean().item() == pytest.approx(0.1, rel=0.05)
    assert build(gaussian_grid.PLUGIN, side=3).num_classes == 9


@pytest.mark.parametrize("plugin", [gaussian_ring.PLUGIN, gaussian_grid.PLUGIN], ids=["ring", "grid"])
def test_only_data_seed_changes_the_points(plugin: Any) -> None:
    """Runs with other seeds must score against the same data."""
    first, other_run, other_data = build(plugin), build(plugin, seed=1), build(plugin, data_seed=1)
    assert first.fingerprint == other_run.fingerprint != other_data.fingerprint
    assert not torch.equal(first.train[0][0], first.test[0][0])  # type: ignore[index]
