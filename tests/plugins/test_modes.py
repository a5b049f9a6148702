"""modes: the rule of VEEGAN, on points whose modes are known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from conftest import SMALL
from run_spec import run
from torch import Tensor

from ganbench import ReferenceImages, Registry, UsageError
from ganbench.spec.loading import load_spec
from ganbench.testing import MetricContract
from ganbench_metrics import ganbench_metrics
from ganbench_metrics.modes import Modes

(PLUGIN,) = (plugin for plugin in ganbench_metrics() if plugin.name == "modes")
CENTERS = torch.tensor([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)])
STDS = torch.tensor([0.1, 0.1, 1.0])


def ring(count: int, seed: int) -> Tensor:
    angles = torch.arange(count) % 8 * (math.pi / 4)
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack([angles.cos(), angles.sin()], 1) + 0.02 * noise


class TestModes(MetricContract):
    plugin = PLUGIN
    image_shape = (2,)
    num_classes = 8

    def images(self, seed: int = 0) -> Tensor:
        return ring(16, seed)


def fitted(points: Tensor, labels: Tensor) -> Modes:
    metric = Modes((2,))
    metric.fit(ReferenceImages(lambda: iter(points.split(7)), len(points), "any", labels))
    return metric


@pytest.fixture
def metric() -> Modes:
    """The metric of three modes whose centers and standard deviations are exactly `CENTERS` and `STDS`."""
    corners = torch.tensor([(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)])
    points = CENTERS[:, None] + STDS[:, None, None] * corners
    return fitted(points.flatten(0, 1), torch.arange(3).repeat_interleave(4))


CASES: dict[str, tuple[list[tuple[float, float]], float, float]] = {
    "one mode": ([(0.0, 0.0)] * 4, 1, 1.0),
    "all modes": ([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)], 3, 1.0),
    "between modes": ([(5.0, 0.1), (3.0, 3.0)], 0, 0.0),
    "within 3 standard deviations": ([(0.29, 0.0), (0.0, 0.31)], 1, 0.5),
    "of the nearest mode": ([(0.0, 7.1), (0.0, 6.9)], 1, 0.5),
    "nearest to a mode, but far": ([(0.0, 0.0), (12.0, 0.0)], 1, 0.5),
}


@pytest.mark.parametrize(("points", "covered", "high_quality"), CASES.values(), ids=CASES.keys())
def test_the_rule(points: list[tuple[float, float]], covered: float, high_quality: float, metric: Modes) -> None:
    metric.update(torch.tensor(points))
    assert metric.compute() == {"covered": covered, "high_quality": high_quality}


def test_the_share_for_gaussians_is_the_known_one() -> None:
    metric = fitted(ring(80_000, 0), torch.arange(80_000) % 8)
    metric.update(ring(80_000, 1))
    scores = metric.compute()
    assert scores["covered"] == 8
    assert scores["high_quality"] == pytest.approx(1 - math.exp(-9 / 2), abs=0.002)


def test_a_class_without_deviation_is_named() -> None:
    with pytest.raises(UsageError, match="class 5 has fewer than two distinct real points"):
        fitted(torch.tensor([(0.0, 0.0), (1.0, 0.0), (3.0, 3.0)]), torch.tensor([2, 2, 5]))


UNLABELED = """
from ganbench import DatasetPlugin, ImageData, hookimpl

def build(options, context):
    import torch
    split = torch.utils.data.TensorDataset(torch.randn(200, 2), torch.zeros(200).long())
    return ImageData(split, split, num_classes=1, source="computed", fingerprint="ef" * 32)

@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="unlabeled", summary="Points without labels", build=build)]
"""
MODES = 'metrics=[{name="modes", num_samples=20}]'


def test_data_without_labels_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "unlabeled.py").write_text(UNLABELED)
    registry = Registry.load([str(tmp_path / "unlabeled.py")])
    overrides = ["dataset=unlabeled", 'model={name="mlp", width=8}', MODES, "training.steps=1"]
    spec = load_spec("dcgan-fashion", registry, overrides)
    with pytest.raises(UsageError, match=r"metrics\.0: metric 'modes' .*requires labels, but dataset 'unlabeled'"):
        run(spec, device="cpu", out=tmp_path / "run")


def test_images_are_refused_before_training(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", registry, [*SMALL[:2], MODES])
    with pytest.raises(UsageError, match=r"'modes' requires points of shape \(2,\), but .* shape \(1, 28, 28\)"):
        run(spec, device="cpu", out=tmp_path / "run")
