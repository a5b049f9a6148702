"""The convolutional networks of Gulrajani et al. 2017 (arXiv:1704.00028) for CIFAR-10, as in the authors' code.

The critic has no batch norm: it would make the output for an image depend on the batch, while the gradient penalty is
the gradient of each output for its own image. The authors train with `wgan` losses, the penalty `gradient-penalty` of
weight 10, five critic updates, Adam (lr 1e-4, betas 0.5 and 0.9) and batches of 64. The network is for 32x32 images;
`sizes.py` has the other sizes.
"""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, ModelPlugin, Networks, Options
from ganbench_models.sizes import first_size


class WGANGPOptions(Options):
    width: int = Field(128, ge=1, description="channels of the critic's first layer")
    latent_dim: int = Field(128, ge=1, description="dimension of the latent vectors")


def build(options: WGANGPOptions, context: BuildContext) -> Networks:
    first, doublings = first_size(context, "wgan-gp-convnet")
    from .networks import Critic, Generator

    channels = context.image_shape[0]
    return Networks(
        Generator(channels, first, doublings, options.latent_dim, options.width),
        Critic(channels, first, doublings, options.width),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="wgan-gp-convnet",
    summary="The CIFAR-10 convnet of WGAN-GP (Gulrajani et al. 2017): no batch norm in the critic",
    options=WGANGPOptions,
    build=build,
)
