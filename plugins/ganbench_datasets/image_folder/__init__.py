"""`image-folder`: any folder of images, with one class per subfolder.

`ROOT/CLASS/.../FILE` has one split; `ROOT/train/CLASS/.../FILE` and `ROOT/test/CLASS/.../FILE` have two.
Images directly in the root (or in train and test) have no classes. Names that begin with a dot are ignored. See
`decoding.py` for the conversion of each kind of file to uint8 `(channels, size, size)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ganbench import DatasetContext, DatasetPlugin, ImageData, Options, UsageError


class ImageFolderOptions(Options):
    path: Path | None = Field(None, description="the folder of images; no default, so it must be given")
    size: int = Field(
        64, ge=2, le=2048, description="height and width in pixels; images are resized and cropped at the center"
    )
    channels: Literal[1, 3] = Field(3, description="1 for grayscale, 3 for RGB")
    test_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="fraction of the images in the test split, 0 for no test split; ignored if the folder has a "
        "subfolder test",
    )
    split_seed: int = Field(0, ge=0, lt=2**32, description="random seed for the selection of the test split")
    skip_invalid: bool = Field(False, description="skip files that are not valid images, instead of stopping")


def build(options: ImageFolderOptions, context: DatasetContext) -> ImageData:
    if options.path is None:
        raise UsageError("dataset 'image-folder' requires the folder of images: -o dataset.path=FOLDER")
    from .loading import load

    return load(options, options.path, context.cache_dir)


PLUGIN = DatasetPlugin(
    name="image-folder",
    summary="Images in a folder, one class per subfolder; resized, cropped and cached as uint8",
    options=ImageFolderOptions,
    build=build,
)
