"""The digits of scikit-learn (Alpaydin, Kaynak 1998, doi:10.24432/C50P49): 1,797 handwritten digits.

Images are uint8 `(1, 8, 8)`: the published values v from 0 to 16 become round(255 v / 16). A label is the digit. The
published images have no splits: a permutation with seed 0 selects 360 test images; the other 1,437 are the train split.
"""

from __future__ import annotations

import hashlib

from ganbench import DatasetContext, DatasetPlugin, ImageData, MissingError, Options

SPLIT_SEED = 0
TEST_IMAGES = 360


def build(options: Options, context: DatasetContext) -> ImageData:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingError(
            "dataset 'digits' requires scikit-learn, which contains the images; run pip install 'ganbench[digits]'"
        ) from error
    import numpy as np
    import torch
    from torch.utils.data import TensorDataset

    published = load_digits()
    images = np.rint(published.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = published.target.astype(np.int64)
    # RandomState: unlike those of numpy's newer generators, its numbers never change
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    test, train = (
        TensorDataset(torch.from_numpy(images[indices]), torch.from_numpy(labels[indices]))
        for indices in (np.sort(order[:TEST_IMAGES]), np.sort(order[TEST_IMAGES:]))
    )
    content = images.tobytes() + labels.astype("<i8").tobytes() + order.astype("<i8").tobytes()
    return ImageData(
        train=train,
        test=test,
        num_classes=10,
        source="scikit-learn",
        fingerprint=hashlib.sha256(content).hexdigest(),
    )


PLUGIN = DatasetPlugin(
    name="digits",
    summary="scikit-learn's digits: 1,437 + 360 grayscale 8x8 images of handwritten digits, 10 classes",
    build=build,
)
