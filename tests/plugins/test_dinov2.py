"""dinov2 with random weights in the authors' file format, its preprocessing, and errors for files and packages."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, layer_norm, linear

from ganbench import BuildContext, DataError, DatasetContext, MissingError, UsageError
from ganbench.errors import ExitCode
from ganbench.testing import FeatureExtractorContract
from ganbench_datasets import emoji
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features import dinov2, ganbench_feature_extractors
from ganbench_features.dinov2 import DINOv2, load_extractor, resample_positions, resize

(PLUGIN,) = (plugin for plugin in ganbench_feature_extractors() if plugin.name == "dinov2")
GRAY = embedded_subset().test.tensors[0][:8]
COLOR = emoji.build(emoji.PLUGIN.options(), DatasetContext(Path(), Path(), 0)).test.tensors[0][:8]
WIDTH, BLOCKS, HEADS = 384, 12, 6  # of ViT-S/14
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is an optional extra")


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """Random values with the names and shapes of the authors' weights of ViT-S/14."""
    linear_shapes = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + 37 * 37, WIDTH),
        "mask_token": (1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 14, 14),
        "patch_embed.proj.bias": (WIDTH,),
    }
    for block in (f"blocks.{number}" for number in range(BLOCKS)):
        for name, (rows, columns) in linear_shapes.items():
            shapes[f"{block}.{name}.weight"] = (rows * WIDTH, columns * WIDTH)
            shapes[f"{block}.{name}.bias"] = (rows * WIDTH,)
        for name in ("norm1.weight", "norm1.bias", "ls1.gamma", "norm2.weight", "norm2.bias", "ls2.gamma"):
            shapes[f"{block}.{name}"] = (WIDTH,)
    shapes |= {"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    rng = torch.Generator().manual_seed(0)
    factors = ("norm.weight", "norm1.weight", "norm2.weight", "gamma")
    return {name: name.endswith(factors) + torch.randn(shape, generator=rng) / 10 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def weights(tensors: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("weights") / "vits14.pth"
    torch.save(tensors, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def extractor(weights: Path) -> DINOv2:
    return load_extractor("vits14", weights, "cpu")


@needs_timm
@pytest.mark.slow
class TestDINOv2(FeatureExtractorContract):
    plugin = PLUGIN
    image_shape = (3, 32, 24)

    @pytest.fixture(autouse=True)
    def under_test(self, weights: Path) -> None:
        type(self).options = {"model": "vits14", "weights": weights}

    def images(self, seed: int = 0) -> Tensor:
        return super().images(seed)[:2]


@pytest.mark.parametrize(
    "images",
    [GRAY, COLOR, GRAY.repeat(1, 1, 10, 13), COLOR.repeat(1, 1, 5, 9)],
    ids=["gray", "color", "larger", "shorter and wider"],
)
def test_images_are_resized_as_by_pil(images: Tensor) -> None:
    expected = [
        np.asarray(Image.fromarray(channel.numpy()).resize((224, 224), Image.Resampling.BICUBIC))
        for channel in images.flatten(0, 1)
    ]
    difference = (resize(images).flatten(0, 1) - torch.from_numpy(np.stack(expected)).float()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 1e-3  # rounding


def cubic(distance: float, a: float = -0.75) -> float:
    """The kernel of Keys 1981 (eq. 4 with a in place of -1/2), with the a of torch."""
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0


def resampled(positions: Tensor) -> Tensor:
    """Position embeddings for 16x16 patches: samples at a distance of 37 / 16.1, with the border repeated."""
    matrix = np.zeros((16, 37))
    for row in range(16):
        center = (row + 0.5) * 37 / 16.1 - 0.5
        for tap in range(int(np.floor(center)) - 1, int(np.floor(center)) + 3):
            matrix[row, min(max(tap, 0), 36)] += cubic(center - tap)
    grid = positions[0, 1:].view(37, 37, -1).double().numpy()
    patches = np.einsum("yi,xj,ijd->yxd", matrix, matrix, grid).reshape(1, 256, -1)
    return torch.cat([positions[:, :1], torch.from_numpy(patches).float()], 1)


def test_position_embeddings_are_resampled_as_in_the_authors_code(tensors: dict[str, Tensor]) -> None:
    torch.testing.assert_close(resample_positions(tensors["pos_embed"]), resampled(tensors["pos_embed"]))


def class_tokens(of: dict[str, Tensor], images: Tensor) -> Tensor:
    """DINOv2 in plain formulas, for resized images in [0, 255], `(N, 3, 224, 224)`."""

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, (WIDTH,), of[f"{name}.weight"], of[f"{name}.bias"], eps=1e-6)

    def project(x: Tensor, name: str) -> Tensor:
        return linear(x, of[f"{name}.weight"], of[f"{name}.bias"])

    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    weight, bias = of["patch_embed.proj.weight"], of["patch_embed.proj.bias"]
    patches = conv2d((images / 255 - mean) / std, weight, bias, stride=14).flatten(2).mT
    x = torch.cat([of["cls_token"].expand(len(images), -1, -1), patches], 1) + resampled(of["pos_embed"])
    for block in (f"blocks.{number}" for number in range(BLOCKS)):
        qkv = project(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = (q @ k.mT / (WIDTH / HEADS) ** 0.5).softmax(-1) @ v
        x = x + of[f"{block}.ls1.gamma"] * project(attended.transpose(1, 2).flatten(2), f"{block}.attn.proj")
        hidden = gelu(project(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + of[f"{block}.ls2.gamma"] * project(hidden, f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


@needs_timm
def test_features_are_the_class_token_of_the_authors_network(extractor: DINOv2, tensors: dict[str, Tensor]) -> None:
    expected = class_tokens(tensors, resize(COLOR[:2]))
    assert expected.shape == (2, extractor.num_features) == (2, 384)
    assert expected.std(0).max() > 0.01
    torch.testing.assert_close(extractor(COLOR[:2]), expected, rtol=1e-4, atol=1e-4)


@needs_timm
def test_grayscale_images_are_repeated_to_three_channels(extractor: DINOv2) -> None:
    torch.testing.assert_close(extractor(GRAY[:1]), extractor(GRAY[:1].repeat(1, 3, 1, 1)))


@needs_timm
def test_a_large_batch_is_processed_in_parts_without_changing_features(
    extractor: DINOv2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extractor._modules, "network", nn.Flatten())
    together = extractor(COLOR)
    monkeypatch.setattr(dinov2, "AT_ONCE", 3)
    assert torch.equal(extractor(COLOR), together)


@needs_timm
def test_a_cached_file_is_used_and_the_protocol_names_it(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setitem(dinov2.MODELS, "vits14", ("vit_small_patch14_dinov2", sha256))
    cached = tmp_path / "hub" / "checkpoints" / "dinov2_vits14_pretrain.pth"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(weights)
    protocol = load_extractor("vits14", None, "cpu").protocol
    assert protocol["weights_sha256"] == sha256
    assert protocol["resize"] == "224x224, bicubic, antialiased, rounded as by PIL"
    assert protocol["normalization"] == "ImageNet's mean and standard deviation"


@needs_timm
@pytest.mark.parametrize("model", dinov2.MODELS)
def test_timm_has_each_network(model: str) -> None:
    import timm

    with torch.device("meta"):
        network = timm.create_model(dinov2.MODELS[model][0], img_size=224, num_classes=0)
    assert network.num_features == {"vitl14": 1024, "vitb14": 768, "vits14": 384}[model]


@needs_timm
def test_the_error_for_weights_of_another_network_names_the_file(weights: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"dinov2: {weights} does not contain DINOv2's weights of vitb14")):
        load_extractor("vitb14", weights, "cpu")


@needs_timm
def test_the_error_for_weights_of_something_else_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(
        DataError, match=re.escape(f"{path} does not contain DINOv2's weights of vits14: it has no 'pos")
    ):
        load_extractor("vits14", path, "cpu")


def test_without_timm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dinov2, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match=r"pip install 'ganbench\[dinov2\]'") as raised:
        load_extractor("vitl14", None, "cpu")
    assert raised.value.exit_code == ExitCode.NOT_COMPARABLE == 3


def test_other_channels_are_refused(tmp_path: Path) -> None:
    context = BuildContext(data_shape=(5, 8, 8), num_classes=10, device="cpu", cache_dir=tmp_path, seed=0)
    with pytest.raises(UsageError, match="'dinov2' requires grayscale or RGB images, but this dataset has 5 channels"):
        PLUGIN.build(PLUGIN.options(), context)
