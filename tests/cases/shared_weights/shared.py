"""A model whose networks share a layer, and a loss that reports whether the layer requires gradients in each update."""

import torch
from torch import nn

from ganbench import LossPlugin, ModelPlugin, Networks, hookimpl

SHARED = {}


def build_model(options, context):
    c, h, w = context.image_shape
    num_pixels = c * h * w
    layer = SHARED["layer"] = nn.Linear(num_pixels, num_pixels)
    generator = nn.Sequential(nn.Linear(16, num_pixels), layer, nn.Tanh(), nn.Unflatten(1, (c, h, w)))
    discriminator = nn.Sequential(nn.Flatten(), layer, nn.LeakyReLU(0.2), nn.Linear(num_pixels, 1))
    return Networks(generator, discriminator, latent_dim=16)


class MonitoredLeastSquares:
    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch).detach())
        requires_grad = torch.tensor(float(SHARED["layer"].weight.requires_grad))
        return (real - 1).square().mean() + fake.square().mean(), {"requires_grad_in_d": requires_grad}

    def generator_loss(self, players, batch):
        fake = players.discriminate(players.generate(batch))
        requires_grad = torch.tensor(float(SHARED["layer"].weight.requires_grad))
        return (fake - 1).square().mean(), {"requires_grad_in_g": requires_grad}


def build_loss(options, context):
    return MonitoredLeastSquares()


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="shared", summary="Networks with a shared layer", build=build_model)]


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="monitored", summary="Least squares, with monitors", build=build_loss)]
