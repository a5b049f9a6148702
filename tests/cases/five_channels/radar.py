"""Images with five channels, and a model for any number of channels."""

from torch import nn
from torch.utils.data import TensorDataset

from ganbench import DatasetPlugin, ImageData, ModelPlugin, Networks, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset


def build_dataset(options, context):
    images, labels = embedded_subset().test.tensors
    split = TensorDataset(images.repeat(1, 5, 1, 1), labels)
    return ImageData(split, split, num_classes=10, source="own", fingerprint="34" * 32)


def build_model(options, context):
    c, h, w = context.image_shape
    generator = nn.Sequential(nn.Linear(16, c * h * w), nn.Tanh(), nn.Unflatten(1, (c, h, w)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1))
    return Networks(generator, discriminator, latent_dim=16)


@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="radar", summary="Five channels", build=build_dataset)]


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="linear", summary="For any number of channels", build=build_model)]
