"""Binary cross-entropy on logits, with the non-saturating generator loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from ganbench import Batch, Players


class BinaryCrossEntropy:
    """Goodfellow et al. 2014 (arXiv:1406.2661).

    The discriminator maximizes eq. 1, and the generator maximizes log D(G(z)) (section 3). With D = sigmoid(logit),
    -log D = softplus(-logit) and -log(1 - D) = softplus(logit). The discriminator's loss is the sum of the means over
    real and fake images. At equilibrium, it is 2 log 2, and the generator's loss is log 2.
    """

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        real = players.discriminate(batch.real, batch.labels).float()
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        loss = softplus(-real).mean() + softplus(fake).mean()
        return loss, {"real_score": real.sigmoid().mean(), "fake_score": fake.sigmoid().mean()}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        return softplus(-fake).mean(), {}
