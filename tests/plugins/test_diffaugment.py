"""DiffAugment: sizes in pixels as in the authors' code, `int(side * ratio + 0.5)`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganbench import BuildContext, UsageError
from ganbench_augmentations import DiffAugmentOptions, build_diffaugment
from ganbench_augmentations.diffaugment import cutout, translation

COUNT = 300  # images; every shift occurs among them


@pytest.mark.parametrize("side", [8, 15, 20, 28, 32, 52])
def test_sizes_are_rounded_as_by_the_authors(side: int) -> None:
    torch.manual_seed(0)
    white = torch.ones(COUNT, 1, side, side)
    empty = (translation(white).amax(3) == 0).sum(2).flatten()  # rows that an image was moved out of
    assert empty.max() == int(side / 8 + 0.5)
    covered = (cutout(white).amin(3) == 0).sum(2).flatten()
    assert covered.max() == int(side / 2 + 0.5)


def test_it_refuses_vectors() -> None:
    context = BuildContext(data_shape=(2,), num_classes=1, device="cpu", cache_dir=Path(), seed=0)
    with pytest.raises(UsageError, match="takes images, but the dataset has vectors"):
        build_diffaugment(DiffAugmentOptions(), context)
