"""Errors for invalid datasets name the plugin, the item, its value and the expected value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from linear_gan import few_images, own_run
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from ganbench import ImageData, PluginError, Registry
from ganbench.data.batches import (
    ResidentBatches,
    StreamedBatches,
    make_batches,
    select_images,
)
from ganbench.data.contract import check_data
from ganbench.scoring.dataset import open_dataset
from ganbench.spec.configs import DatasetConfig
from ganbench.spec.sections import DataOptions
from ganbench_datasets.fashion_mnist.sources import embedded_subset

CPU = torch.device("cpu")


class Items:
    """A split whose items are returned by a function."""

    def __init__(self, item: Callable[[int], Any], length: Any = 20) -> None:
        self.item = item
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.item(index)


def image(channels: int = 1, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.zeros(channels, 28, 28, dtype=dtype)


def pillow(index: int) -> Any:
    from PIL import Image

    return Image.new("L", (28, 28)), 0


def torn(index: int) -> Any:
    raise OSError("torn")


GOOD = Items(lambda _: (image(), 0))
ITEMS = {
    "PIL": (pillow, "item 0 of the test split: the image is a PIL.Image.Image; expected a pair of an image, uint8"),
    "dictionary": (
        lambda _: {"image": image(), "label": 0},
        "is a dict with the keys 'image', 'label'; expected a pair",
    ),
    "unlabelled": (lambda _: image(), r"is a tensor, uint8 of shape \(1, 28, 28\); expected a pair"),
    "floats": (
        lambda _: (image(dtype=torch.float32), 0),
        r"the image is a tensor, float32 of shape .*; expected a pair",
    ),
    "flat": (lambda _: (image()[0], 0), r"the image is a tensor, uint8 of shape \(28, 28\); expected a pair"),
    "class": (
        lambda _: (image(), 10),
        "the label is 10; expected an integer from 0 to 9, because num_classes is 10",
    ),
    "half": (lambda _: (image(), 0.5), "the label is 0.5; expected an integer from 0 to 9"),
    "text": (lambda _: (image(), "shoe"), "the label is 'shoe'; expected an integer"),
    "many labels": (lambda _: (image(), torch.zeros(3)), r"the label is a tensor, float32 of shape \(3,\); expected"),
    "color": (
        lambda _: (image(3), 0),
        r"the image has shape \(3, 28, 28\), but the first train image has \(1, 28, 28\)",
    ),
    "last": (lambda i: (image(1 + 2 * (i == 19)), 0), r"item 19 of the test split: the image has shape \(3, 28, 28\)"),
    "raises": (torn, "raised while reading image 0 of the test split: OSError: torn"),
}


@pytest.mark.parametrize(("item", "message"), ITEMS.values(), ids=ITEMS.keys())
def test_both_splits_are_checked_item_by_item(item: Any, message: str) -> None:
    with pytest.raises(PluginError, match=r"^dataset 'own'.*test split") as raised:
        check_data(ImageData(GOOD, Items(item), 10, "own", "ef"), "dataset 'own'")
    assert re.search(message, str(raised.value)), raised.value


@pytest.mark.parametrize("item", [item for kind, (item, _) in ITEMS.items() if kind != "color"])
def test_the_train_split_is_checked_too(item: Any) -> None:
    with pytest.raises(PluginError, match=r"^dataset 'own'.*train split"):
        check_data(ImageData(Items(item), GOOD, 10, "own", "ef"), "dataset 'own'")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.uint16, torch.int32, torch.uint64])
def test_labels_are_integers_of_any_type(dtype: torch.dtype) -> None:
    data = check_data(ImageData(tensors(IMAGES, LABELS.to(dtype)), None, 10, "own", "ef"), "dataset 'own'")
    images, labels = make_batches(data.train, 4, CPU, torch.Generator()).load(torch.arange(4))
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    with pytest.raises(PluginError, match="labels of the train split range from 9 to 9; expected 0 to 8"):
        check_data(ImageData(tensors(IMAGES, (LABELS + 9).to(dtype)), None, 9, "own", "ef"), "dataset 'own'")


@pytest.mark.parametrize("split", ["in memory", "streamed"])
def test_images_that_look_dark_are_warned_of(split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Floats in [0, 1] that were converted to uint8 without scaling, and images of 4 bits."""
    subset = embedded_subset()
    images, labels = subset.train.tensors
    config = DatasetConfig.model_validate("fashion-mnist", context={"registry": Registry.load()})
    for levels, warning in ((255, None), (1, "above 1, of 255; they look black"), (15, "multiply them by 17")):
        own = (images.float() / 255 * levels).to(torch.uint8)
        train = tensors(own, labels) if split == "in memory" else Items(lambda index, own=own: (own[index], 0))
        changed = replace(subset, train=train, test=subset.test if split == "in memory" else None)
        monkeypatch.setattr("ganbench_datasets.fashion_mnist.sources.load", lambda *_, changed=changed: changed)
        warnings: list[str] = []
        _, record = open_dataset(config, 0, CPU, tmp_path, warnings.append)
        assert any("no value of the examined train images" in each for each in warnings) == (warning is not None)
        assert warning is None or any(warning in each for each in warnings)
        assert record.warnings == warnings


@pytest.mark.parametrize(("copied", "warned"), [(10, False), (11, True)])
def test_copies_of_train_images_in_the_test_split_are_warned_of(
    copied: int, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = embedded_subset()
    (train, _), (images, labels) = subset.train.tensors, subset.test.tensors
    changed = replace(subset, test=tensors(torch.cat([train[100 : 100 + copied], images[copied:]]), labels))
    monkeypatch.setattr("ganbench_datasets.fashion_mnist.sources.load", lambda *_: changed)
    config = DatasetConfig.model_validate("fashion-mnist", context={"registry": Registry.load()})
    warnings: list[str] = []
    _, record = open_dataset(config, 0, CPU, tmp_path, warnings.append)
    assert record.warnings == warnings
    assert any(f"{copied} of 1,000 test images are exact copies of train images" in each for each in warnings) == warned


def test_images_of_few_distinct_values_are_not_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subset = embedded_subset()
    few = replace(
        subset, train=TensorDataset(*(part[:50].repeat_interleave(4, 0) for part in subset.train.tensors)), test=None
    )
    few = replace(few, test=TensorDataset(*(part[:100] for part in few.train.tensors)))
    monkeypatch.setattr("ganbench_datasets.fashion_mnist.sources.load", lambda *_: few)
    config = DatasetConfig.model_validate("fashion-mnist", context={"registry": Registry.load()})
    warnings: list[str] = []
    open_dataset(config, 0, CPU, tmp_path, warnings.append)
    assert not warnings


def tensors(images: Tensor, labels: Tensor) -> TensorDataset:
    return TensorDataset(images, labels)


IMAGES, LABELS = torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
SPLITS = {
    "float images": (
        tensors(IMAGES.float(), LABELS),
        r"images of the test split are a tensor, float32 .*; expected uint8",
    ),
    "no channels": (tensors(IMAGES[:, 0], LABELS), r"uint8 of shape \(4, 28, 28\); expected uint8 of shape \(N, ch"),
    "no labels": (TensorDataset(IMAGES), "is a TensorDataset of 1 tensors; expected images and labels"),
    "float labels": (
        tensors(IMAGES, LABELS.float()),
        "labels of the test split are a tensor, float32 .*; expected integers",
    ),
    "one-hot": (tensors(IMAGES, torch.zeros(4, 10, dtype=torch.int64)), r"int64 of shape \(4, 10\); expected integers"),
    "class": (tensors(IMAGES, LABELS + 10), "labels of the test split range from 10 to 10; expected 0 to 9, because"),
    "empty": (tensors(IMAGES[:0], LABELS[:0]), "the test split has no images"),
    "color": (
        tensors(IMAGES.expand(4, 3, 28, 28), LABELS),
        r"the test split has \(3, 28, 28\) and the train split has \(1, 28, 28\)",
    ),
    "no length": (iter([]), r"test split is a list_iterator, which has no len\(\); expected a map-style dataset"),
    "wrong length": (Items(torn, length="many"), r"raised in len\(\) of the test split: TypeError"),
}


@pytest.mark.parametrize(("split", "message"), SPLITS.values(), ids=SPLITS.keys())
def test_whole_splits_are_checked(split: Any, message: str) -> None:
    with pytest.raises(PluginError, match=r"^dataset 'own'.*") as raised:
        check_data(ImageData(few_images(), split, 10, "own", "ef"), "dataset 'own'")
    assert re.search(message, str(raised.value)), raised.value


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((4, 4), r"label_counts has 2 numbers with the sum 8; expected one for each of the 10 classes, with the sum 4"),
        (tuple(Counter(few_images().tensors[1].tolist()).values()), r"but label_counts\[\d\] is \d+; expected the n"),
    ],
    ids=["length", "order of appearance"],
)
def test_label_counts_are_compared_with_the_labels_in_memory(counts: tuple[int, ...], message: str) -> None:
    right = tuple(torch.bincount(few_images().tensors[1].long(), minlength=10).tolist())
    check_data(ImageData(few_images(), None, 10, "own", "ef", label_counts=right), "dataset 'own'")
    with pytest.raises(PluginError, match=r"^dataset 'own': .*" + message):
        check_data(ImageData(few_images(), None, 10, "own", "ef", label_counts=counts), "dataset 'own'")


@pytest.mark.parametrize("split", ["in memory", "streamed"])
def test_label_counts_may_be_any_integers_in_order(split: str) -> None:
    images, labels = few_images().tensors
    train = few_images() if split == "in memory" else Items(lambda index: (images[index], labels[index]), len(images))
    right = torch.bincount(labels.long(), minlength=10)
    for counts in (dict(enumerate(right.tolist())).values(), right.numpy(), right):
        given: Any = counts
        data = check_data(ImageData(train, None, 10, "own", "ef", label_counts=given), "dataset 'own'")
        assert data.label_counts == tuple(right.tolist())
        assert {type(count) for count in data.label_counts} == {int}
        assert [data.train[index][1] for index in range(4)] == labels[:4].tolist()


@pytest.mark.parametrize("given", [20, [0.5] * 10, ["2"] * 10])
def test_label_counts_that_are_not_integers_are_an_error(given: Any) -> None:
    with pytest.raises(
        PluginError, match=r"^dataset 'own': label_counts must be a sequence of integers, got (20|a list)"
    ):
        check_data(ImageData(GOOD, None, 10, "own", "ef", label_counts=given), "dataset 'own'")


def test_an_item_whose_label_has_a_count_of_0_is_an_error() -> None:
    data = ImageData(Items(lambda index: (image(), index % 2)), None, 3, "own", "ef", label_counts=(10, 0, 10))
    checked = check_data(data, "dataset 'own'")
    with pytest.raises(PluginError, match=r"item 1 of the train split: the label is 1, but label_counts\[1\] is 0; e"):
        checked.train[1]


def test_the_number_of_classes_may_be_an_integer_of_numpy() -> None:
    data = check_data(ImageData(few_images(), None, np.int64(10), "own", "ef"), "dataset 'own'")  # type: ignore[arg-type]
    assert type(data.num_classes) is int


class Inverted(TensorDataset):
    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        return 255 - image, label


def inverted_subset() -> Any:
    return Subset(Inverted(*few_images().tensors), range(5, 25))


@pytest.mark.parametrize("make", [lambda: Inverted(*few_images().tensors), inverted_subset], ids=["subclass", "subset"])
def test_an_overridden_getitem_is_used_in_training_and_for_reference(make: Callable[[], Any]) -> None:
    split = make()
    first = 5 if isinstance(split, Subset) else 0
    wanted = 255 - few_images().tensors[0][first : first + 4]
    data = check_data(ImageData(split, split, 10, "own", "ef"), "dataset 'own'")
    (reference,) = select_images(data.train, torch.arange(4), 4, CPU)
    assert torch.equal(reference, wanted)
    batches = make_batches(data.train, 4, CPU, torch.Generator().manual_seed(0), options=DataOptions(workers=0))
    assert isinstance(batches, StreamedBatches)
    trained = torch.cat([inputs[0] for inputs in batches.epoch()])
    mine = torch.stack([split[index][0] for index in range(len(split))])
    assert torch.equal(trained.flatten(1).sort(0).values, mine.flatten(1).sort(0).values)


def test_plain_tensors_stay_resident() -> None:
    data = check_data(ImageData(few_images(), few_images(), 10, "own", "ef"), "dataset 'own'")
    assert isinstance(make_batches(data.train, 4, CPU, torch.Generator()), ResidentBatches)


MIXED = """
class Mixed:
    def __len__(self):
        return 400

    def __getitem__(self, index):
        return torch.zeros(3 if index == 201 else 1, 28, 28, dtype=torch.uint8), 0

train_split = Mixed
"""


def test_the_error_for_an_image_of_another_shape_in_a_worker_names_it(tmp_path: Path) -> None:
    with pytest.raises(PluginError) as raised:
        own_run(tmp_path, MIXED, ["training.batch_size=200"])
    told = str(raised.value)
    assert "dataset 'own' (from " in told
    assert (
        "item 201 of the train split: the image has shape (3, 28, 28), but the first train image has (1, 28, 28)"
        in told
    )
    assert "Traceback" not in told


FIVE = """
def train_split():
    return torch.utils.data.TensorDataset(torch.zeros(40, 5, 28, 28, dtype=torch.uint8), torch.zeros(40).long())

test_split = train_split

def build_model(options, context):
    c, h, w = context.image_shape
    size = c * h * w
    made = nn.Sequential(nn.Linear(LATENT, size), nn.Tanh(), nn.Unflatten(1, context.image_shape))
    return Networks(made, nn.Sequential(nn.Flatten(), nn.Linear(size, 1)), LATENT)
"""


def test_images_with_five_channels_train_without_sample_images(tmp_path: Path) -> None:
    result, warnings = own_run(tmp_path, FIVE, ["sample_images.real=4", "sample_images.generated=4"])
    assert result.status == "completed"
    assert not list((tmp_path / "run").glob("samples/*"))
    assert any(re.search(r"sample images are not saved: .*dataset 'own'.* 5 channels, and only", w) for w in warnings)


UNSTEADY = """
import os

class Unsteady:
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.frombuffer(bytearray(os.urandom(784)), dtype=torch.uint8).view(1, 28, 28), 0

train_split = Unsteady
"""


def test_a_nondeterministic_dataset_causes_a_warning(tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, UNSTEADY, ["training.steps=1"])
    assert any("dataset 'own'" in w and "differs between two reads with equal seeds" in w for w in warnings)


def read_epoch(_: int) -> int:
    torch.set_num_threads(1)
    batches = StreamedBatches(Items(lambda _: (image(), 0)), 8, CPU, torch.Generator().manual_seed(0))
    return sum(len(inputs[0]) for inputs in batches.epoch())


def test_a_daemonic_process_reads_images_without_workers() -> None:
    with get_context("fork").Pool(1) as pool:
        assert pool.map(read_epoch, [0]) == [20]
