"""Datasets of vectors: values are neither normalized nor quantized, points are plotted, and image plugins refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run_command
from conftest import UNSCORED
from linear_gan import Noting
from run_spec import run
from torch import Tensor
from torch.utils.data import TensorDataset

from ganbench import ImageData, PluginError, Registry, UsageError, load
from ganbench.data.batches import make_batches
from ganbench.data.contract import check_data
from ganbench.results.schema import Result
from ganbench.spec.loading import load_spec

CPU = torch.device("cpu")
RING = ['dataset={name="gaussian-ring", train_points=400, test_points=80}', 'model={name="mlp", width=8, latent_dim=2}']
SHORT = ["training.batch_size=50", "training.steps=4", "sample_images.real=40", "sample_images.generated=40"]
POINTS = torch.tensor([[0.5, -3.0], [200.0, 1e-6], [-1.0, 2.0], [0.0, 0.0]])
LABELS = torch.tensor([0, 1, 0, 1])


def train(tmp_path: Path, registry: Registry, *overrides: str, name: str = "run") -> tuple[Result, list[str]]:
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED[-1:], *RING, *SHORT, *overrides])
    noting = Noting()
    result, _ = run(spec, device="cpu", out=tmp_path / name, callback=noting)
    return result, noting.warnings


class Items:
    """A split that is read item by item."""

    def __init__(self, points: Tensor) -> None:
        self.points = points

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> Any:
        return self.points[index], int(LABELS[index])


def split_of(points: Tensor, streamed: bool) -> Any:
    return Items(points) if streamed else TensorDataset(points, LABELS)


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
def test_vectors_reach_the_networks_with_their_values(streamed: bool) -> None:
    data = check_data(ImageData(split_of(POINTS, streamed), None, 2, "own", "ef"), "dataset 'own'")
    assert data.data_shape == (2,)
    batches = make_batches(data.train, 4, CPU, torch.Generator().manual_seed(0))
    for _ in range(2):  # the second epoch shows whether the first has changed the data
        (loaded,) = [batches.load(*inputs)[0] for inputs in batches.epoch()]
        assert torch.equal(loaded.sort(0).values, POINTS.sort(0).values)


INVALID = {
    "NaN": (POINTS * torch.tensor([1.0, torch.nan]), "NaN or infinite"),
    "infinite": (POINTS * torch.inf, "NaN or infinite"),
    "double": (POINTS.double(), "float64 .*expected .*float32"),
    "integers": (POINTS.to(torch.uint8), "uint8 .*expected .*float32"),
    "scalars": (POINTS[:, 0], "expected .*vector"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
@pytest.mark.parametrize(("points", "message"), INVALID.values(), ids=INVALID.keys())
def test_invalid_vectors_are_errors(points: Tensor, message: str, streamed: bool) -> None:
    with pytest.raises(PluginError, match=rf"^dataset 'own'.*train split.*{message}"):
        check_data(ImageData(split_of(points, streamed), None, 2, "own", "ef"), "dataset 'own'")


def test_images_and_vectors_in_one_dataset_are_an_error() -> None:
    images = TensorDataset(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), LABELS)
    with pytest.raises(PluginError, match=r"the test split has \(2,\) and the train split has \(1, 2, 2\)"):
        check_data(ImageData(images, split_of(POINTS, False), 2, "own", "ef"), "dataset 'own'")


SEEN: list[Tensor] = []
METRIC = """
from ganbench import MetricPlugin, hookimpl
from test_vectors import SEEN

class Keep:
    label, higher_is_better, protocol = "keep", True, {}

    def fit(self, reference):
        SEEN.extend(reference.batches())

    def update(self, points):
        SEEN.append(points)

    def compute(self):
        return 0.0

@hookimpl
def ganbench_metrics():
    return [MetricPlugin(name="keep", summary="Keeps what it gets", build=lambda options, context: Keep())]
"""


def test_metrics_get_unquantized_values_and_the_protocol_says_so(tmp_path: Path) -> None:
    (tmp_path / "keep.py").write_text(METRIC)
    registry = Registry.load([str(tmp_path / "keep.py")])
    SEEN.clear()
    metrics = 'metrics=[{name="keep", num_samples=30}, {name="fid", features="raw", num_samples=30}]'
    result, _ = train(tmp_path, registry, metrics)
    assert {score.protocol["quantization"] for score in result.metrics} == {"none, float32"}
    assert result.metrics[1].protocol["range"] == "that of the data"
    real, generated = SEEN[0], SEEN[-1]
    assert {each.dtype for each in SEEN} == {torch.float32}
    assert real.norm(dim=1).mean().item() == pytest.approx(2, abs=0.01)  # the radius of the ring
    assert len(generated.unique()) == 60  # quantized values would repeat


def test_points_are_plotted_as_sample_images(tmp_path: Path, registry: Registry) -> None:
    result, warnings = train(tmp_path, registry)
    assert result.status == "completed"
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == ["real.png", "step-000004.png"]
    assert not warnings


def test_generated_vectors_are_sampled_to_an_archive_and_shown_as_text(tmp_path: Path, registry: Registry) -> None:
    train(tmp_path, registry, 'optimizer.generator.lr={name="cosine", start=2e-3, end=0.0}')
    arguments = ["sample", str(tmp_path / "run"), "-n", "30", "--out"]
    for target in ("grid.png", "folder"):
        outcome = run_command(*arguments, target)
        assert outcome.exit_code == 2
        assert f"--out {target}: the run generates vectors, not images; use an .npz file" in " ".join(
            outcome.stderr.split()
        )
    outcome = run_command(*arguments, "points.npz")
    assert (outcome.exit_code, outcome.stderr) == (0, "")  # the learning rate is no state of the generator
    samples = load(tmp_path / "run", device="cpu").sample(30)
    with np.load("points.npz") as archive:
        np.testing.assert_array_equal(archive["vectors"], samples.images.numpy())
    assert samples.images.dtype == torch.float32
    assert samples._repr_html_() == "<div>&lt;Samples: float32 (30, 2), seed 42&gt;</div>"


def test_vectors_that_are_not_points_train_without_plots(tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(
        """
from ganbench import DatasetPlugin, ImageData, hookimpl

def build(options, context):
    import torch
    split = torch.utils.data.TensorDataset(torch.randn(200, 3), torch.zeros(200).long())
    return ImageData(split, split, num_classes=1, source="computed", fingerprint="ef" * 32)

@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="space", summary="Points in space", build=build)]
"""
    )
    result, warnings = train(tmp_path, Registry.load([str(tmp_path / "space.py")]), "dataset=space")
    assert result.status == "completed"
    assert not list((tmp_path / "run").glob("samples/*"))
    assert any(re.search(r"sample images are not saved: .*'space'.* 3 features, and only", each) for each in warnings)


IMAGE_PARTS = {
    "model": ("model=dcgan", r"model 'dcgan' \(from ganbench .*takes images.*vectors of shape \(2,\)"),
    "extractor": (
        'metrics=[{name="fid", features="fashion-cnn", num_samples=30}]',
        r"^feature-extractor 'fashion-cnn' \(from ganbench .*takes images",
    ),
    "resized pixels": ('metrics=[{name="fid", features={name="raw", size=1}, num_samples=30}]', "size is for images"),
    "augmentation": ("augmentations=[{name='ada'}]", "augmentation 'ada' .*takes images"),
    "flips": ("training.horizontal_flips=true", "horizontal_flips=true is for images, but dataset 'gaussian-ring'"),
    "memory format": ("engine.memory_format=channels_last", "memory_format=channels_last is for images"),
}


@pytest.mark.parametrize(("override", "message"), IMAGE_PARTS.values(), ids=IMAGE_PARTS.keys())
def test_parts_for_images_are_refused_before_training(
    override: str, message: str, tmp_path: Path, registry: Registry
) -> None:
    with pytest.raises(UsageError, match=message):
        train(tmp_path, registry, override)
    assert not (tmp_path / "run" / "history.csv").exists()
