"""The 3,655 emoji of Unicode 15.0, as drawn by Google's font Noto Color Emoji 2.042, in nine classes.

Images are uint8 RGB `(3, 32, 32)`; transparent pixels are composited over white. A label is the position in `CLASSES`
of the group to which Unicode assigns the emoji. The classes differ in size: 59% of the images are in "People & Body",
and 2% in "Activities".

Most emoji of people have variants, such as skin tones, and "man" or "woman" instead of "person". All variants of an
emoji are in the same split, and so are emoji with equal pixels, such as the flags of Norway and Svalbard. These sets of
emoji were assigned to the splits in a random order (seed 0), so that the test split has a fifth of the images of each
class. Other emoji may be similar across the splits: there are hearts of many colors, and clocks for each half hour.

The images are part of the package, in a file whose SHA-256 is verified; `make_images.py` creates it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganbench import DatasetContext, DatasetPlugin, ImageData, Options

if TYPE_CHECKING:
    import numpy as np
    from torch.utils.data import TensorDataset

CLASSES = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)
IMAGES = Path(__file__).with_name("images.npz")
SHA256 = "9aca041265aa69f9043598a7f3a75a4bd66a5a6d71feb47e65f0f599d407e583"


def build(options: Options, context: DatasetContext) -> ImageData:
    import numpy as np

    from ganbench_datasets.downloads import verify

    verify("emoji", IMAGES, SHA256)
    with np.load(IMAGES) as arrays:
        train, test = (split(arrays[f"{name}_images"], arrays[f"{name}_labels"]) for name in ("train", "test"))
    return ImageData(train=train, test=test, num_classes=len(CLASSES), source="embedded", fingerprint=SHA256)


def split(images: np.ndarray, labels: np.ndarray) -> TensorDataset:
    """Return a split from images `(N, 32, 32, 3)` and labels `(N,)`, both uint8."""
    import torch
    from torch.utils.data import TensorDataset

    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return TensorDataset(channels_first, torch.from_numpy(labels).long())


PLUGIN = DatasetPlugin(
    name="emoji",
    summary="Emoji: 2,928 + 727 RGB 32x32 drawings of Noto Color Emoji, 9 classes",
    build=build,
)
