"""STL-10 (Coates, Lee, Ng 2011, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning"): 96x96 photos.

Images are uint8 RGB `(3, 96, 96)`, or smaller with `size`; labels are the classes airplane, bird, car, cat, deer, dog,
horse, monkey, ship and truck, in this order. The unlabeled images show other animals and vehicles, too, so they have no
classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ganbench import DatasetContext, DatasetPlugin, ImageData

from .published import PublishedOptions

if TYPE_CHECKING:
    from torch import Tensor

MD5 = {  # of the published binary version, as in torchvision
    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
    "train_y.bin": "5a34089d4802c674881badbb80307741",
    "unlabeled_X.bin": "5242ba1fed5e4be9e1e742405eb56ca4",
    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
}
SIDE = 96  # pixels
FILES = {
    "labeled": ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"),
    "unlabeled": ("unlabeled_X.bin", "test_X.bin"),
}


class STL10Options(PublishedOptions):
    train: Literal["labeled", "unlabeled"] = Field(
        "labeled",
        description="train split: the 5,000 labeled images, or the 100,000 unlabeled (2.8 GB, no classes)",
    )
    size: int = Field(
        SIDE,
        ge=8,
        le=SIDE,
        description="side of the images in pixels, resized by PIL's bilinear filter, as in torchvision; publications "
        "on GANs use 48",
    )


def build(options: STL10Options, context: DatasetContext) -> ImageData:
    import torch
    from torch.utils.data import TensorDataset
    from torchvision.datasets import STL10

    from .archives import ArchivedDataset

    md5 = {name: MD5[name] for name in FILES[options.train]}
    published = ArchivedDataset("STL-10", STL10.url, STL10.filename, STL10.tgz_md5, STL10.base_folder, md5)
    folder, source = published.find(options.source, context.data_dir)

    def split(name: str) -> TensorDataset:
        images = resized(read_images(folder / f"{name}_X.bin"), options.size)
        if options.train == "unlabeled":
            return TensorDataset(images, torch.zeros(len(images), dtype=torch.int64))
        return TensorDataset(images, read_labels(folder / f"{name}_y.bin"))

    return ImageData(
        train=split("train" if options.train == "labeled" else "unlabeled"),
        test=split("test"),
        num_classes=10 if options.train == "labeled" else 1,
        source=source,
        fingerprint=published.fingerprint if options.size == SIDE else f"{published.fingerprint}-{options.size}",
    )


def resized(images: Tensor, size: int) -> Tensor:
    """Return the images with another side, resized one by one as torchvision's `Resize` does it with PIL images."""
    import numpy as np
    import torch
    from PIL import Image

    if size == images.shape[-1]:
        return images
    smaller = torch.empty(len(images), 3, size, size, dtype=torch.uint8)
    for index, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        resized_image = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        smaller[index] = torch.from_numpy(np.array(resized_image)).permute(2, 0, 1)
    return smaller


def read_images(file: Path) -> Tensor:
    """Return the images in a file, which stores each channel column by column."""
    import numpy as np
    import torch

    columns_first = np.fromfile(file, np.uint8).reshape(-1, 3, SIDE, SIDE)
    return torch.from_numpy(np.ascontiguousarray(columns_first.transpose(0, 1, 3, 2)))


def read_labels(file: Path) -> Tensor:
    """Return the labels in a file, which stores them as 1 to 10, as 0 to 9."""
    import numpy as np
    import torch

    return torch.tensor(np.fromfile(file, np.uint8), dtype=torch.int64) - 1


PLUGIN = DatasetPlugin(
    name="stl10",
    summary="STL-10: 5,000 + 8,000 RGB 96x96 photos, 10 classes, or 100,000 unlabeled ones",
    options=STL10Options,
    build=build,
)
