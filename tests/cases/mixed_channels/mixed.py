"""A dataset that reads images one by one, of which one is in color."""

from torch.utils.data import Dataset

from ganbench import DatasetPlugin, ImageData, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


class Mixed(Dataset):
    def __init__(self):
        self.images = embedded_subset().test.tensors[0][:40]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        return (image.expand(3, -1, -1) if index == 17 else image), 0


def build(options, context):
    return ImageData(Mixed(), Mixed(), num_classes=1, source="own", fingerprint="ef" * 32)


@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="mixed", summary="Grayscale, and one in color", build=build)]
