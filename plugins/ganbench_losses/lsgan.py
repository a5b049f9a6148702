"""Least squares: the discriminator is a regression on 1 for real and 0 for generated images."""

from __future__ import annotations

from torch import Tensor

from ganbench import Batch, Players


class LeastSquares:
    """Mao et al. 2016 (arXiv:1611.04076), eq. 9.

    The discriminator minimizes E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2, and the generator E[(D(G(z)) - 1)^2] / 2. D is
    the output of the network itself, without a sigmoid. At equilibrium, D = 1/2, the discriminator's loss is 1/4, and
    the generator's loss is 1/8.
    """

    output_is_logit = False  # its threshold is 1/2

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        real = players.discriminate(batch.real, batch.labels).float()
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        loss = ((real - 1).square().mean() + fake.square().mean()) / 2
        return loss, {"real_output": real.mean(), "fake_output": fake.mean()}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        return (fake - 1).square().mean() / 2, {}
