"""Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv:1812.01718): cursive Japanese characters, one per row of hiragana.

Images are uint8 `(1, 28, 28)`; labels are the classes o, ki, su, tsu, na, ha, ma, ya, re, wo, in this order.
"""

from __future__ import annotations

from ganbench import DatasetContext, DatasetPlugin, ImageData

from .published import PublishedOptions

SHA256 = {  # of the four published files, compressed
    "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
}


def build(options: PublishedOptions, context: DatasetContext) -> ImageData:
    from .idx import IdxDataset

    return IdxDataset("KMNIST", "KMNIST", SHA256).load(options.source, context.data_dir)


PLUGIN = DatasetPlugin(
    name="kmnist",
    summary="KMNIST: 60,000 + 10,000 grayscale 28x28 images of cursive Japanese characters, 10 classes",
    options=PublishedOptions,
    build=build,
)
