"""Relativistic pairing: each generated image is compared with a real one."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from ganbench import Batch, Players


class RelativisticPairing:
    """RpGAN (Jolicoeur-Martineau 2018, arXiv:1807.00734), as in R3GAN (Huang et al. 2024, arXiv:2501.05441, eq. 2).

    The discriminator minimizes E[softplus(-(D(x) - D(G(z))))], and the generator the same with swapped roles, so its
    update needs real images too: here those of the discriminator's last update, in R3GAN's code others. The n-th real
    image of a batch is paired with its n-th generated one, which a conditional model generates for the same class.
    R3GAN adds the penalties `r1` and `r2` to the discriminator's loss in each step; without them, it need not converge
    (section 2.2).
    At equilibrium, both losses are log 2. The loss does not change if a constant is added to all logits, so the
    monitor is the mean difference in a pair.
    """

    output_is_logit = False  # only differences of it matter
    pairs_images = True

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        difference = self.difference(players, batch)
        return softplus(-difference).mean(), {"logit_difference": difference.mean()}

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return softplus(self.difference(players, batch)).mean(), {}

    def difference(self, players: Players, batch: Batch) -> Tensor:
        """Return the logit of each real image minus that of its generated one."""
        real = players.discriminate(batch.real, batch.labels).float()
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float()
        return real - fake
