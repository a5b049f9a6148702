"""The hinge loss: the discriminator stops learning from images beyond the margin."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu

from ganbench import Batch, Players


class Hinge:
    """Lim and Ye 2017 (arXiv:1705.02894); eqs. 16 and 17 of Miyato et al. 2018 (arXiv:1802.05957).

    The discriminator minimizes E[relu(1 - D(x))] + E[relu(1 + D(G(z)))], and the generator -E[D(G(z))], which has no
    relu: the margin limits the discriminator only. With D = 0 everywhere, the discriminator's loss is 2, its value at
    equilibrium.
    """

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        real = players.discriminate(batch.real, batch.labels).float()
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        loss = relu(1 - real).mean() + relu(1 + fake).mean()
        return loss, {"real_logit": real.mean(), "fake_logit": fake.mean()}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        return -fake.mean(), {}
