"""A loss whose library sets torch's default dtype to float64 (physics and Gaussian process packages do)."""

import torch

from ganbench import LossPlugin, hookimpl


class LeastSquares:
    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return (real - 1).square().mean() + fake.square().mean(), {}

    def generator_loss(self, players, batch):
        return (players.discriminate(players.generate(batch)) - 1).square().mean(), {}


def build(options, context):
    torch.set_default_dtype(torch.float64)  # as `import library` would
    return LeastSquares()


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="float64-default", summary="Changes a global default", build=build)]
