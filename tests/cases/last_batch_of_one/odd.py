"""65 images: the last batch of 64 has a single image."""

from torch.utils.data import TensorDataset

from ganbench import DatasetPlugin, ImageData, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


def build(options, context):
    images, labels = embedded_subset().test.tensors
    split = TensorDataset(images[:65], labels[:65])
    return ImageData(split, split, num_classes=10, source="own", fingerprint="cd" * 32)


@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="odd", summary="65 images", build=build)]
