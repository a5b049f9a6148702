"""Datasets that return PIL images, dictionaries, or images without labels."""

from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from ganbench import DatasetPlugin, ImageData, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


class PILDataset(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return Image.fromarray(self.images[index, 0].numpy()), 0


class DictDataset(PILDataset):
    def __getitem__(self, index):
        return {"image": self.images[index], "label": 0}


SPLITS = {"pil": PILDataset, "dict": DictDataset, "unlabeled": TensorDataset}


def make_plugin(name, split_type):
    def build(options, context):
        split = split_type(embedded_subset().test.tensors[0][:40])
        return ImageData(split, split, num_classes=1, source="own", fingerprint="56" * 32)

    return DatasetPlugin(name=name, summary=split_type.__name__, build=build)


@hookimpl
def ganbench_datasets():
    return [make_plugin(name, split_type) for name, split_type in SPLITS.items()]
