"""The digits of scikit-learn."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from ganbench import ImageData, MissingError
from ganbench.testing import DatasetContract
from ganbench_datasets import digits

# of the images, labels and split of scikit-learn 1.9.1
FINGERPRINT = "5f9610b5e754c5de2b0bac5f7910ea6a9db3c4f96874e0fe9dd71a54c3bb1128"


class TestDigits(DatasetContract):
    plugin = digits.PLUGIN

    @pytest.fixture(autouse=True)
    def scikit_learn(self) -> None:
        pytest.importorskip("sklearn", reason="scikit-learn is an optional extra")

    @pytest.fixture
    def data(self) -> ImageData:
        return self.build()

    def test_the_splits_are_disjoint_and_contain_all_published_images_scaled_to_255(self, data: ImageData) -> None:
        from sklearn.datasets import load_digits

        published = load_digits()
        expected = sorted(
            [round(float(value) * 255 / 16) for value in image.flatten()] + [int(label)]
            for image, label in zip(published.images, published.target, strict=True)
        )
        found = sorted(
            [*image.flatten().tolist(), int(label)]
            for split in (data.train, data.test)
            for image, label in zip(*split.tensors, strict=True)
        )
        assert found == expected
        assert (len(data.train), len(data.test)) == (1437, 360)
        assert data.train.tensors[0].max() == 255
        assert data.data_shape == (1, 8, 8)

    def test_the_split_is_always_the_same_and_both_have_all_classes(self, data: ImageData) -> None:
        assert data.fingerprint == FINGERPRINT
        for split in (data.train, data.test):
            assert (np.bincount(split.tensors[1], minlength=10) > len(split) / 20).all()

    def test_the_images_show_their_labels(self, data: ImageData) -> None:
        """Nine of ten test images are closest to a train image of their class."""
        (train, train_labels), (test, test_labels) = data.train.tensors, data.test.tensors
        nearest = torch.cdist(test.flatten(1).float(), train.flatten(1).float()).argmin(1)
        assert (train_labels[nearest] == test_labels).double().mean() > 0.9


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    contract = TestDigits()
    with pytest.raises(MissingError, match=r"pip install 'ganbench\[digits\]'"):
        contract.build()
