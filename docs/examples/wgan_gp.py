"""WGAN-GP (Gulrajani et al. 2017): its loss; the penalty and the five critic updates are ganbench's.

ganbench run dcgan-fashion -p wgan_gp.py -o loss=wasserstein -o training.discriminator_steps=5
    -o 'penalties=[{name = "gradient-penalty", weight = 10.0}]'
    -o 'optimizer.generator.betas=[0.0, 0.9]' -o 'optimizer.discriminator.betas=[0.0, 0.9]'
"""

from ganbench import LossPlugin, hookimpl


class Wasserstein:
    output_is_logit = False  # the output is defined only up to an additive constant

    def discriminator_loss(self, players, batch):
        real = players.discriminate(batch.real, batch.labels).float().mean()
        fake = players.discriminate(players.generate(batch), batch.fake_labels).float().mean()
        return fake - real, {"critic_distance": real - fake}

    def generator_loss(self, players, batch):
        return -players.discriminate(players.generate(batch), batch.fake_labels).float().mean(), {}


@hookimpl
def ganbench_losses():
    return [LossPlugin(name="wasserstein", summary="Critic of WGAN", build=lambda options, context: Wasserstein())]
