"""A generator that requires labels, in a model that is not declared conditional."""

import torch
from torch import nn

from ganbench import ModelPlugin, Networks, hookimpl


class LabeledGenerator(nn.Module):
    def __init__(self, num_classes, num_pixels, image_shape):
        super().__init__()
        self.embedding = nn.Embedding(num_classes, 16)
        self.body = nn.Sequential(nn.Linear(32, num_pixels), nn.Tanh(), nn.Unflatten(1, image_shape))

    def forward(self, latent, labels):
        return self.body(torch.cat([latent, self.embedding(labels)], 1))


def build(options, context):
    c, h, w = context.image_shape
    generator = LabeledGenerator(context.num_classes, c * h * w, (c, h, w))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1))
    return Networks(generator, discriminator, latent_dim=16)


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="labeled", summary="Generator with labels", build=build)]
