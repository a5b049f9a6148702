"""A discriminator that computes a position encoding in its first forward pass, and keeps it as a buffer."""

import torch
from torch import nn

from ganbench import ModelPlugin, Networks, hookimpl


class EncodedDiscriminator(nn.Module):
    def __init__(self, num_pixels):
        super().__init__()
        self.linear = nn.Linear(num_pixels, 1)

    def forward(self, images):
        flat = images.flatten(1)
        if not hasattr(self, "encoding"):
            encoding = torch.linspace(0, 1, flat.shape[1], device=flat.device)
            self.register_buffer("encoding", encoding, persistent=False)
        return self.linear(flat + self.encoding)


def build(options, context):
    c, h, w = context.image_shape
    generator = nn.Sequential(nn.Linear(16, c * h * w), nn.Tanh(), nn.Unflatten(1, (c, h, w)))
    return Networks(generator, EncodedDiscriminator(c * h * w), latent_dim=16)


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="encoded", summary="Position encoding on first use", build=build)]
