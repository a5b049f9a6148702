"""A generator whose normalization divides by zero when it uses its running statistics."""

from torch import nn, zeros

from ganbench import ModelPlugin, Networks, hookimpl


class Normalization(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("running_mean", zeros(num_features))
        self.register_buffer("running_std", zeros(num_features))  # stays 0, as for a dead feature

    def forward(self, x):
        if self.training:
            return (x - x.mean(0)) / (x.std(0) + 1e-3)
        return (x - self.running_mean).sub(x - self.running_mean) / self.running_std  # 0 / 0


def build(options, context):
    c, h, w = context.image_shape
    generator = nn.Sequential(
        nn.Linear(16, 64), Normalization(64), nn.Linear(64, c * h * w), nn.Tanh(), nn.Unflatten(1, (c, h, w))
    )
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1))
    return Networks(generator, discriminator, latent_dim=16)


@hookimpl
def ganbench_models():
    return [ModelPlugin(name="unstable", summary="NaN in eval mode", build=build)]
