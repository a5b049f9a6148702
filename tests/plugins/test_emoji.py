"""The emoji: images, labels and splits, how these are made, scores, and the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from features_in_memory import InMemory
from run_spec import run
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganbench import DataError, DatasetContext, ImageData, Registry
from ganbench.spec.loading import load_spec
from ganbench.testing import DatasetContract
from ganbench_datasets import emoji
from ganbench_datasets.emoji.make_images import base, choose_test, sets_of_variants
from ganbench_features.raw import RawPixels
from ganbench_metrics.fid import FID


@pytest.fixture(scope="module")
def data() -> ImageData:
    return emoji.build(emoji.PLUGIN.options(), DatasetContext(data_dir=Path(), cache_dir=Path(), seed=0))


class TestEmoji(DatasetContract):
    plugin = emoji.PLUGIN


def test_there_are_all_emoji_of_unicode_and_the_test_split_has_a_fifth_of_each_class(data: ImageData) -> None:
    train, test = (split.tensors[1].bincount() for split in (data.train, data.test))
    # the subtotals of fully-qualified emoji in Unicode's emoji-test.txt, version 15.0
    assert (train + test).tolist() == [166, 2148, 152, 133, 218, 85, 261, 223, 269]
    assert test.tolist() == [int(0.2 * count) for count in (train + test).tolist()]


def test_no_image_of_one_split_is_nearly_in_the_other(data: ImageData) -> None:
    """The closest pair, two different flags, differs by a root mean square of more than 5 gray levels."""
    train, test = (split.tensors[0].flatten(1).float() for split in (data.train, data.test))
    assert torch.cdist(test, train).min() / train.shape[1] ** 0.5 > 5


def test_the_images_show_their_labels_on_white(data: ImageData) -> None:
    """Two thirds of the test images are closest to a train image of their class."""
    (train, train_labels), (test, test_labels) = data.train.tensors, data.test.tensors
    nearest = torch.cdist(test.flatten(1).float(), train.flatten(1).float()).argmin(1)
    assert (train_labels[nearest] == test_labels).double().mean() > 0.6
    corners = train[:, :, ::31, ::31]
    assert (corners == 255).double().mean() > 0.95


def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(emoji.IMAGES.read_bytes())
    content[len(content) // 2] ^= 1
    altered = tmp_path / "images.npz"
    altered.write_bytes(content)
    monkeypatch.setattr(emoji, "IMAGES", altered)
    with pytest.raises(DataError, match=rf"emoji: {altered} is truncated or corrupt: its SHA-256 is \w+, expected"):
        TestEmoji().build()


# how the splits are made


@pytest.mark.parametrize(
    "variants",
    [
        ["\N{WAVING HAND SIGN}", "\N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-6}"],
        ["🏃", "🏃‍♀️", "🏃🏽‍♂️"],
        ["🧑‍🚀", "👨‍🚀", "👩🏿‍🚀"],
        ["👪", "👨‍👩‍👧", "👩‍👩‍👦‍👦", "👨‍👧"],
        ["💏", "👩‍❤️‍💋‍👨", "🧑🏻‍❤️‍💋‍🧑🏿"],
        ["👫", "👭🏽", "🧑‍🤝‍🧑", "👩🏼‍🤝‍👨🏾"],
        ["🤶", "🎅🏿", "🧑‍🎄"],
        ["🤰", "🫃🏽", "🫄"],
    ],
)
def test_variants_have_one_base(variants: list[str]) -> None:
    assert len({base(text) for text in variants}) == 1


def test_other_emoji_have_other_bases() -> None:
    different = ["🇦🇺", "🇺🇦", "🧑‍🚀", "🧑‍🎨", "👪", "👫", "💏", "💑", "🏴", "🏴‍☠️", "❤️", "❤️‍🔥", "1️⃣", "2️⃣"]
    assert len({base(text) for text in different}) == len(different)


def test_equal_pixels_join_sets_of_variants() -> None:
    texts = ["🇳🇴", "🏂", "🏂🏿", "🇸🇯", "🇫🇷"]
    images = np.array([1, 2, 3, 1, 4], np.uint8).reshape(-1, 1, 1, 1)
    assert sets_of_variants(texts, images) == [[0, 3], [1, 2], [4]]


def test_a_set_of_variants_is_in_one_split() -> None:
    variants = [[index, index + 1] for index in range(0, 200, 2)]
    labels = np.repeat([0, 1], [60, 140])
    in_test = choose_test(variants, labels)
    assert all(in_test[first] == in_test[second] for first, second in variants)
    assert np.bincount(labels[in_test]).tolist() == [12, 28]


# scores on emoji


def noisy(images: Tensor, strength: float) -> Tensor:
    noise = strength * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + noise).clamp(0, 255).round().to(torch.uint8)


def blurred(images: Tensor, sigma: float) -> Tensor:
    return gaussian_blur(images, [13, 13], [sigma, sigma])


@pytest.mark.parametrize(("damage", "strengths"), [(noisy, (16, 32, 64)), (blurred, (2, 3, 4))])
def test_fid_of_pixels_rises_with_noise_and_blur(
    damage: Callable[[Tensor, float], Tensor], strengths: tuple[float, ...], data: ImageData
) -> None:
    extractor = RawPixels((3, 32, 32), size=8)
    train, test = data.train.tensors[0], data.test.tensors[0]
    images = [test, *(damage(test, strength) for strength in strengths)]
    scores = [FID(extractor, "cpu").score(*(InMemory(extractor(each)) for each in (train, one))) for one in images]
    assert all(lower < higher for lower, higher in pairwise(scores)), scores


# the benchmarks


@pytest.mark.parametrize("name", ["sngan-emoji", "cgan-emoji"])
def test_a_benchmark_trains_without_a_network(name: str, registry: Registry, tmp_path: Path) -> None:
    small = ["training.steps=1", "training.batch_size=4", "training.generator_batch_size=4", "model.width=2"]
    spec = load_spec(name, registry, [*small, "metrics=[]"])
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.status == "completed"
    assert result.data.source == "embedded"
    assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 2  # real and generated images
