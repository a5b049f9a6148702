"""Create `subset.npz`: the first 500 train and 100 test images of each class, in their original order.

python -m ganbench_datasets.fashion_mnist.make_subset DATA_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ganbench_datasets.idx import NUM_CLASSES

from .sources import SUBSET, load


def first_of_each_class(split: TensorDataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 28, 28) and labels (N,), both uint8."""
    images, labels = split.tensors
    indices = torch.cat([(labels == label).nonzero().flatten()[:count] for label in range(NUM_CLASSES)]).sort().values
    return images[indices, 0].numpy(), labels[indices].to(torch.uint8).numpy()


def main() -> None:
    data = load("files", Path(sys.argv[1]))
    assert isinstance(data.train, TensorDataset)
    assert isinstance(data.test, TensorDataset)
    train_images, train_labels = first_of_each_class(data.train, 500)
    test_images, test_labels = first_of_each_class(data.test, 100)
    np.savez_compressed(
        SUBSET,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
    )


if __name__ == "__main__":
    main()
