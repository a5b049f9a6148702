"""A generator that replaces its weights by their average in `eval()`, and restores them in `train()`."""

import torch
from torch import nn

from ganbench import ModelPlugin, Networks, hookimpl


class AveragedGenerator(nn.Module):
    average: torch.Tensor
    backup: torch.Tensor

    def __init__(self, num_pixels, image_shape):
        super().__init__()
        self.linear = nn.Linear(16, num_pixels)
        self.output = nn.Sequential(nn.Tanh(), nn.Unflatten(1, image_shape))
        self.register_buffer("average", self.linear.weight.detach().clone())
        self.register_buffer("backup", self.linear.weight.detach().clone())
        self.uses_average = False

    def forward(self, latent):
        if self.training:
            self.average.lerp_(self.linear.weight.detach(), 0.1)
        return self.output(self.linear(latent))

    def train(self, mode=True):
        super().train(mode)
        if mode and self.uses_average:
            self.linear.weight.data.copy_(self.backup)
            self.uses_average = False
        elif not mode and not self.uses_average:
            self.backup.copy_(self.linear.weight.data)
            self.linear.weight.data.copy_(self.average)
            self.uses_average = True
        return self


def build(options, context):
    c, h, w = context.image_shape
    generator = AveragedGenerator(c * h * w, (c, h, w))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1))
    return Networks(generator, discriminator, latent_dim=16)


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="averaged", summary="Scored with averaged weights", build=build)]
