"""A TensorDataset that changes every image in `__getitem__`, and a loss that reports the mean of the real images."""

import torch
from torch.utils.data import TensorDataset

from ganbench import DatasetPlugin, ImageData, LossPlugin, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


class White(TensorDataset):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return torch.full_like(image, 255), label


class MonitoredLeastSquares:
    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return (real - 1).square().mean() + fake.square().mean(), {"real_mean": batch.real.mean()}

    def generator_loss(self, players, batch):
        return (players.discriminate(players.generate(batch)) - 1).square().mean(), {}


def build_dataset(options, context):
    tensors = embedded_subset().test.tensors
    return ImageData(White(*tensors), White(*tensors), num_classes=10, source="own", fingerprint="ab" * 32)


def build_loss(options, context):
    return MonitoredLeastSquares()


@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="white", summary="White images", build=build_dataset)]


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="monitored", summary="Reports the mean of the real images", build=build_loss)]
