"""A loss that runs another program when it is imported, and prints like a C library when it is built."""

import os
import subprocess

from ganbench import LossPlugin, hookimpl

subprocess.run(["echo", "driver 1.2.3"], check=True)


class LeastSquares:
    def discriminator_loss(self, players, batch):
        real, fake = players.discriminate(batch.real), players.discriminate(players.generate(batch))
        return (real - 1).square().mean() + fake.square().mean(), {}

    def generator_loss(self, players, batch):
        return (players.discriminate(players.generate(batch)) - 1).square().mean(), {}


def build(options, context):
    os.write(1, b"native library: initialized\n")  # like printf of a C extension
    return LeastSquares()


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="chatty", summary="Prints to standard output", build=build)]
