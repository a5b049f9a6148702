"""Identity is content: what data, frozen networks and options are, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from registries import with_plugins
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from ganbench import (
    BuildContext,
    FeatureExtractorConfig,
    FeatureExtractorPlugin,
    ImageData,
    LossConfig,
    LossPlugin,
    MetricPlugin,
    Options,
    UsageError,
)
from ganbench.plugin.registry import Provider, Registry
from ganbench.scoring import identity
from ganbench.scoring.dataset import open_dataset
from ganbench.scoring.identity import (
    config_identity,
    data_content,
    options_identity,
    software_of,
    state_hash,
)
from ganbench.spec.configs import DatasetConfig, MetricConfig, PluginConfig
from ganbench.spec.loading import load_spec, resolve
from ganbench_datasets.fashion_mnist.sources import embedded_subset

IMAGES, LABELS = (tensor[:40] for tensor in embedded_subset().test.tensors)


@pytest.fixture
def choice(registry: Registry) -> DatasetConfig:
    return DatasetConfig.model_validate("fashion-mnist", context={"registry": registry})


class Streamed(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], 0


def data_of(images: Tensor = IMAGES, labels: Tensor = LABELS, **changes: Any) -> ImageData:
    split = TensorDataset(images, labels)
    data = ImageData(split, split, num_classes=10, source="own", fingerprint="declared once and for all")
    return replace(data, **changes)


@pytest.mark.parametrize(
    "changed",
    [
        data_of(images=255 - IMAGES),
        data_of(labels=9 - LABELS),
        data_of(images=IMAGES.flip(0)),
        data_of(test=TensorDataset(255 - IMAGES, LABELS)),
        data_of(num_classes=11),
    ],
    ids=["pixels", "labels", "order", "test split", "classes"],
)
def test_a_change_of_the_data_is_noticed_where_the_declared_fingerprint_stays(
    changed: ImageData, choice: DatasetConfig
) -> None:
    assert data_content(changed, choice)[0] != data_content(data_of(), choice)[0]


def test_equal_images_are_the_same_data_under_another_name(choice: DatasetConfig) -> None:
    content, basis = data_content(data_of(), choice)
    assert data_content(data_of(fingerprint="other", source="download"), choice) == (content, basis)
    assert basis == "all images"


def test_streamed_data_is_sampled_and_the_basis_says_so(choice: DatasetConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "SAMPLED_IMAGES", 5)
    streamed = data_of(train=Streamed(IMAGES), test=Streamed(IMAGES))
    content, basis = data_content(streamed, choice)
    assert basis == "5 images of each split, and the declared fingerprint"
    assert data_content(streamed, choice)[0] == content
    for changed in (
        replace(streamed, train=Streamed(255 - IMAGES)),
        replace(streamed, train=Streamed(IMAGES[:39])),
        replace(streamed, fingerprint="other"),
    ):
        assert data_content(changed, choice)[0] != content


def test_the_content_of_random_transforms_does_not_depend_on_the_seed_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: DatasetConfig
) -> None:
    class Flipped(Streamed):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            image, label = super().__getitem__(index)
            return (image.flip(-1) if torch.rand(()) < 0.5 else image), label

    data = data_of(train=Flipped(IMAGES), test=Flipped(IMAGES))
    monkeypatch.setattr(type(choice), "build", lambda *_: data)
    records = [open_dataset(choice, seed, torch.device("cpu"), tmp_path, lambda _: None)[1] for seed in (0, 1)]
    assert records[0].content_sha256 == records[1].content_sha256


def test_the_last_image_of_a_huge_split_is_within_it(choice: DatasetConfig) -> None:
    class Huge(Streamed):
        def __len__(self) -> int:
            return 2**24 + 4  # as float32, the last index becomes this length

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            assert index < len(self)
            return self.images[index % len(self.images)], 0

    assert data_content(data_of(train=Huge(IMAGES), test=None), choice)[0]


class ThumbnailOptions(Options):
    scale: int = 1
    weights: Path | None = None
    classes: Path | None = None
    registered: bool = True


class WrapperOptions(Options):
    base: LossConfig
    others: list[FeatureExtractorConfig] = []


class ScoredOptions(Options):
    features: FeatureExtractorConfig
    table: Path | None = None


def build_thumbnail(options: ThumbnailOptions, context: Any) -> nn.Module:
    linear = nn.Linear(4, 4, bias=False)
    nn.init.constant_(linear.weight, float(options.weights.read_text()) if options.weights else 1.0)
    network: nn.Module = linear if options.registered else nn.Identity()
    network.sessions = [linear]  # no part of the state, like a session of another framework
    network.num_features, network.protocol = 4, {"extractor": "thumbnail"}
    return network


@pytest.fixture
def own(registry: Registry) -> Registry:
    """The shipped plugins, an extractor, a metric that uses one and a loss that wraps another."""
    return with_plugins(
        registry,
        FeatureExtractorPlugin(name="thumbnail", summary="-", options=ThumbnailOptions, build=build_thumbnail),
        MetricPlugin(name="scored", summary="-", options=ScoredOptions, build=lambda *_: None),
        LossPlugin(name="wrapper", summary="-", options=WrapperOptions, build=lambda *_: None),
        provider=Provider("own-plugins", "1.0", "own", __name__),
    )


Identify = Callable[..., dict[str, Any]]


@pytest.fixture
def identify(own: Registry, tmp_path: Path) -> Identify:
    """The identity of a metric over `thumbnail` with these options."""
    context = BuildContext(data_shape=(1, 2, 2), num_classes=1, device="cpu", cache_dir=tmp_path, seed=0)

    def of(features: dict[str, Any], **options: Any) -> dict[str, Any]:
        given = {"name": "scored", "features": {"name": "thumbnail", **features}, **options}
        choice = MetricConfig.model_validate(given, context={"registry": own})
        choice.options.features.build(context)
        return config_identity(choice, "metric")

    return of


def test_an_extractors_options_and_weights_are_part_of_the_protocol(identify: Identify, tmp_path: Path) -> None:
    plain, scaled = identify({}), identify({"scale": 2})
    assert plain["metric"] == "scored@own-plugins"
    assert plain["metric.features"] == "thumbnail@own-plugins"
    assert (plain["metric.features.scale"], scaled["metric.features.scale"]) == (1, 2)
    (tmp_path / "one").write_text("1.0")
    (tmp_path / "two").write_text("2.0")
    assert identify({"weights": tmp_path / "one"}) == plain  # the very weights that it has without a file
    assert identify({"weights": tmp_path / "two"}) != plain


def test_a_weights_file_counts_by_its_content_if_the_network_has_no_state(identify: Identify, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_text("1.0")
    first = identify({"weights": weights, "registered": False})
    weights.write_text("2.0")
    assert identify({"weights": weights, "registered": False}) != first


def test_a_file_among_the_options_counts_by_its_content(identify: Identify, tmp_path: Path) -> None:
    first, copy = tmp_path / "a" / "table.csv", tmp_path / "b" / "moved.csv"
    for file in (first, copy):
        file.parent.mkdir()
        file.write_text("1,2")
    before = identify({}, table=first)
    assert identify({}, table=copy) == before
    copy.write_text("1,3")
    assert identify({}, table=copy) != before


def test_the_state_of_a_network_is_its_parameters_and_buffers() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = state_hash(network)
    network[1].running_mean.add_(1)
    assert state_hash(network) != before


def test_what_a_loss_wraps_is_among_the_plugins_of_the_spec(own: Registry) -> None:
    data = load_spec("dcgan-fashion", own)
    wrapped = {"name": "wrapper", "base": "bce", "others": ["thumbnail"]}
    spec = resolve({**data.to_dict(), "loss": wrapped}, own, origin="a test's")
    used: list[PluginConfig] = spec.plugin_configs()
    assert {"wrapper", "bce", "thumbnail"} <= {choice.name for choice in used}
    assert {"loss wrapper", "loss bce", "feature-extractor thumbnail"} == software_of(spec.loss).keys()


def test_metrics_get_ids_of_their_own(registry: Registry) -> None:
    fid = '{name="fid",features="fashion-cnn"}'
    spec = load_spec("dcgan-fashion", registry, [f"metrics=[{fid},{fid},{fid[:-1]},id='fid'}}]"])
    assert [metric.id for metric in spec.metrics] == ["fid-2", "fid-3", "fid"]
    assert resolve(spec.to_dict(), registry, origin="itself").metrics == spec.metrics
    with pytest.raises(UsageError, match="metrics: two metrics have the id 'a'"):
        load_spec("dcgan-fashion", registry, [f"metrics=[{fid[:-1]},id='a'}},{fid[:-1]},id='a'}}]"])


def test_a_file_beside_the_weights_counts_by_its_content(identify: Identify, tmp_path: Path) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("cat")
    before = identify({"classes": classes})
    classes.write_text("dog")
    assert identify({"classes": classes}) != before


def test_the_name_of_a_distribution_in_the_spec_is_not_part_of_the_identity(identify: Identify) -> None:
    assert identify({"name": "thumbnail@own-plugins"}) == identify({})


@dataclass
class Weighted:
    weights: Path
    factor: float = 1.0
    total: float = field(init=False)

    def __post_init__(self) -> None:
        self.total = 2 * self.factor


class WithFiles(Options):
    one: Weighted
    more: list[list[Weighted]] = []
    plain: list[float] = [1.0]


def test_files_named_in_dataclasses_and_nested_lists_are_identified_by_their_content(tmp_path: Path) -> None:
    identities = []
    for name in ("a", "b"):
        (tmp_path / name).write_text("the same content")
        table = {"weights": tmp_path / name}
        identities.append(options_identity(WithFiles.model_validate({"one": table, "more": [[table]]})))
    assert identities[0] == identities[1]
    assert identities[0]["plain"] == [1.0]
    assert identities[0]["more.0.0.weights"].startswith("content ")
