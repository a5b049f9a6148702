"""The Wasserstein loss, for a discriminator (critic) that is kept Lipschitz-continuous."""

from __future__ import annotations

from torch import Tensor

from ganbench import Batch, Players


class Wasserstein:
    """Arjovsky et al. 2017 (arXiv:1701.07875), eqs. 2 and 3.

    The critic maximizes E[D(x)] - E[D(G(z))], and the generator minimizes -E[D(G(z))]. If the critic is K-Lipschitz,
    the maximum is K times the Wasserstein-1 distance; the monitor `critic_estimate` is the current value. The loss
    constrains nothing itself: set `clip_weights` of the discriminator's optimizer (WGAN), or add the penalty
    `gradient-penalty` (WGAN-GP). Without either, the critic's output grows without bound. At equilibrium, the critic's
    loss is 0; the generator's loss is known up to a constant only.
    """

    output_is_logit = False  # the output is defined only up to an additive constant

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        real = players.discriminate(batch.real, batch.labels).float().mean()
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float().mean()
        return fake - real, {"critic_estimate": real - fake}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        return -fake.mean(), {}
