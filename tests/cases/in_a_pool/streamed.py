"""A dataset that reads images one by one, so that it is not held in memory."""

from torch.utils.data import Dataset

from ganbench import DatasetPlugin, ImageData, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


class Streamed(Dataset):
    def __init__(self):
        self.images = embedded_subset().test.tensors[0][:40]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], 0


def build(options, context):
    return ImageData(Streamed(), Streamed(), num_classes=1, source="own", fingerprint="ef" * 32)


@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="streamed", summary="Images one by one", build=build)]
