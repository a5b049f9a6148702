"""The shipped benchmarks from publications: their networks, their training in a few steps, and their references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_files import cifar_files, md5, put
from run_spec import run

from ganbench import BuildContext, Registry, Result
from ganbench.results.references import judge_references
from ganbench.spec.loading import load_spec
from ganbench_datasets import cifar10
from ganbench_datasets.archives import ArchivedDataset
from ganbench_datasets.fashion_mnist.sources import SUBSET
from ganbench_features.inception_v3 import WEIGHTS_SHA256

CIFAR10 = ["dcgan-cifar10", "sngan-cifar10", "wgan-gp-cifar10"]
FASHION = ["cgan-fashion", "r3gan-fashion"]
TRAIN, TEST = 50, 10
SHORT = ["training.steps=2", 'metrics.0.features={name="raw",size=4}', "metrics.0.num_samples=20"]
REDUCED = {
    "dcgan-cifar10": ["model.width=4", "training.batch_size=4", "metrics.0.real_samples=30"],
    "sngan-cifar10": ["model.width=4", "training.batch_size=4"],
    "wgan-gp-cifar10": ["model.width=4", "training.batch_size=4"],
    "cgan-fashion": ["model.width=4", "training.batch_size=4", "training.generator_batch_size=8"],
    "r3gan-fashion": ["model.width=8", "training.batch_size=8"],
}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small CIFAR-10: clothes of FashionMNIST in three colors."""
    clothes, labels = (np.load(SUBSET)[f"train_{part}"][: TRAIN + TEST] for part in ("images", "labels"))
    padded = np.pad(clothes.reshape(-1, 1, 28, 28), ((0, 0), (0, 0), (2, 2), (2, 2)))
    files = cifar_files(np.concatenate([padded, padded // 2, 255 - padded], axis=1), labels)
    monkeypatch.setattr(cifar10, "MD5", {name: md5(files[name]) for name in cifar10.MD5})
    put(files, tmp_path / "data" / "cifar-10-batches-py")
    return tmp_path / "data"


def train(name: str, data_dir: Path, registry: Registry, out: Path) -> Result:
    """Run a benchmark for two steps, with narrow networks and simple features."""
    source = ["dataset.source=embedded"] if name in FASHION else []
    spec = load_spec(name, registry, [*SHORT, *REDUCED[name], *source])
    return run(spec, device="cpu", data_dir=data_dir, out=out)[0]


@pytest.mark.parametrize("name", [*CIFAR10, *FASHION])
def test_a_benchmark_builds_its_networks_at_full_width(name: str, registry: Registry) -> None:
    spec = load_spec(name, registry)
    shape = (1, 28, 28) if name in FASHION else (3, 32, 32)
    context = BuildContext(data_shape=shape, num_classes=10, device="cpu", cache_dir=Path("unused"), seed=0)
    networks: Any = spec.model.build(context)
    labels = (torch.arange(2),) if networks.conditional else ()
    assert networks.conditional == (name == "cgan-fashion")
    images = networks.generator(torch.randn(2, networks.latent_dim), *labels)
    assert images.shape == (2, *shape)
    assert networks.discriminator(images, *labels).shape == (2, 1)


@pytest.mark.parametrize("name", FASHION)
def test_a_benchmark_on_fashion_mnist_trains_and_is_scored(
    name: str, data_dir: Path, registry: Registry, tmp_path: Path
) -> None:
    result = train(name, data_dir, registry, tmp_path / "run")
    assert result.status == "completed"
    (metric,) = result.metrics
    assert metric.value is not None
    assert result.references == []


def test_r3gans_schedules_end_with_the_run(registry: Registry) -> None:
    """A schedule that is longer than the run never reaches its final value, even if the run is shortened."""
    spec = load_spec("r3gan-fashion", registry)
    for schedule, start, end in (
        (spec.optimizer.generator.options.lr, 2e-4, 5e-5),
        (spec.optimizer.discriminator.options.lr, 2e-4, 5e-5),
        *((penalty.weight, 0.05, 0.005) for penalty in spec.penalties),
        (spec.ema.half_life_kimg, 0, 750),
    ):
        context = BuildContext((1, 28, 28), 10, "cpu", Path("unused"), seed=0, total_images=1000)
        value = schedule.build(context)
        assert [value(0), value(1000)] == pytest.approx([start, end])
        assert value(900) != pytest.approx(end, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "std", "steps", "betas", "counts"),
    [
        ("dcgan-cifar10", 28.95, 0.42, 200_000, [0.5, 0.999], (10_000, 10_000)),
        ("sngan-cifar10", 16.77, 0.04, 100_000, [0.0, 0.9], (50_000, 50_000)),
        ("wgan-gp-cifar10", 22.29, 0.06, 100_000, [0.0, 0.9], (50_000, 50_000)),
    ],
)
def test_a_run_with_mimicrys_settings_is_held_to_its_score(
    name: str,
    value: float,
    std: float,
    steps: int,
    betas: list[float],
    counts: tuple[int, int],
    data_dir: Path,
    registry: Registry,
    tmp_path: Path,
) -> None:
    """The result of a short run on other data stands for the published one, with its spec and its protocol."""
    spec = load_spec(name, registry)
    training = spec.training
    assert (training.steps, training.batch_size, training.discriminator_steps) == (steps, 64, 5)
    optimizer = spec.to_dict()["optimizer"]
    assert optimizer["generator"] == optimizer["discriminator"]
    assert optimizer["generator"]["betas"] == betas
    (reference,) = spec.references
    assert (reference.value, reference.std) == (value, std)

    short = train(name, data_dir, registry, tmp_path / "run")
    assert short.status == "completed"
    assert short.metrics[0].value is not None
    (judged,) = short.references
    assert judged.verdict == "not comparable"
    assert f"training.steps is 2, not {steps}" in judged.differences
    assert "the data is not the published data (source: files)" in judged.differences
    protocol: dict[str, Any] = {
        **short.metrics[0].protocol,
        **{"extractor": "inception-v3", "weights_sha256": WEIGHTS_SHA256, "split": "train"},
        **{"real_samples": counts[0], "generated_samples": counts[1]},
    }
    assert set(reference.protocol) <= set(protocol)
    for score, verdict in ((value + 1, "within"), (value * 1.2, "outside")):
        metric = short.metrics[0].model_copy(update={"protocol": protocol, "value": score})
        data = short.data.model_copy(update={"fingerprint": published_cifar10().fingerprint})
        (judged,) = judge_references(
            short.model_copy(update={"spec": spec.to_dict(), "metrics": [metric], "data": data})
        )
        assert (judged.verdict, judged.differences) == (verdict, [])


PUBLISHED_MD5 = dict(cifar10.MD5)


def published_cifar10() -> ArchivedDataset:
    return ArchivedDataset("CIFAR-10", "", "", "", "", PUBLISHED_MD5)
