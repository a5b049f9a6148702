"""A generator that fades in a second layer with every step, and counts in a plain attribute (progressive growing)."""

from torch import nn

from ganbench import ModelPlugin, Networks, hookimpl


class FadingGenerator(nn.Module):
    def __init__(self, num_pixels, image_shape):
        super().__init__()
        self.old, self.new = nn.Linear(16, num_pixels), nn.Linear(16, num_pixels)
        self.output = nn.Sequential(nn.Tanh(), nn.Unflatten(1, image_shape))
        self.alpha = 0.0

    def forward(self, latent):
        if self.training:
            self.alpha = min(1.0, self.alpha + 0.0005)
        return self.output((1 - self.alpha) * self.old(latent) + self.alpha * self.new(latent))


def build(options, context):
    c, h, w = context.image_shape
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1))
    return Networks(FadingGenerator(c * h * w, (c, h, w)), discriminator, latent_dim=16)


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="fading", summary="Fades in a layer", build=build)]
