"""MNIST (LeCun, Bottou, Bengio, Haffner 1998, doi:10.1109/5.726791): handwritten digits.

Images are uint8 `(1, 28, 28)`; a label is the digit.
"""

from __future__ import annotations

from ganbench import DatasetContext, DatasetPlugin, ImageData

from .published import PublishedOptions

SHA256 = {  # of the four published files, decompressed
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def build(options: PublishedOptions, context: DatasetContext) -> ImageData:
    from .idx import IdxDataset

    return IdxDataset("MNIST", "MNIST", SHA256).load(options.source, context.data_dir)


PLUGIN = DatasetPlugin(
    name="mnist",
    summary="MNIST: 60,000 + 10,000 grayscale 28x28 images of handwritten digits, 10 classes",
    options=PublishedOptions,
    build=build,
)
