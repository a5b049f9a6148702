"""The original minimax objective, whose generator loss saturates."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from ganbench import Batch, Players

from .bce import BinaryCrossEntropy


class Minimax(BinaryCrossEntropy):
    """Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1: min over G, max over D of E[log D(x)] + E[log(1 - D(G(z)))].

    Both networks train on the same value, with D = sigmoid(logit): the discriminator's loss is that of `bce`, and the
    generator minimizes log(1 - D(G(z))) = -softplus(logit). Its gradient with respect to a logit is -sigmoid(logit),
    which vanishes if the discriminator rejects the generated images with confidence (section 3). The loss exists for
    comparison with `bce`. At equilibrium, the discriminator's loss is 2 log 2, and the generator's loss is -log 2.
    """

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        return -softplus(fake).mean(), {}
