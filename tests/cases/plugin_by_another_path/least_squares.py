"""The least squares loss."""

from ganbench import LossPlugin, hookimpl


class LeastSquares:
    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return (real - 1).square().mean() + fake.square().mean(), {}

    def generator_loss(self, players, batch):
        return (players.discriminate(players.generate(batch)) - 1).square().mean(), {}


def build(options, context):
    return LeastSquares()


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="least-squares", summary="Least squares", build=build)]
