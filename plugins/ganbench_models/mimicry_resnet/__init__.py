"""The ResNets of mimicry (Lee and Town 2020, arXiv:2005.02494), whose scores on CIFAR-10 are often quoted.

Its SNGAN, WGAN-GP and DCGAN share one backbone, that of Miyato et al. 2018 (arXiv:1802.05957) with bilinear upsampling,
biases, and discriminator blocks whose shortcut receives the rectified input. The code is `kwotsin/mimicry`, commit
a7fda06: `nets/sngan/sngan_32.py`, `nets/wgan_gp/wgan_gp_32.py` and `nets/dcgan/dcgan_cifar.py`. They are for 32x32
images; `sizes.py` has the other sizes. mimicry's own networks for 48x48 and 64x64 images have other widths and depths.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import BuildContext, ModelPlugin, Networks, Options
from ganbench_models.sizes import first_size

Variant = Literal["sngan", "wgan-gp", "dcgan"]


class MimicryOptions(Options):
    variant: Variant = Field(
        "sngan",
        description="sngan: spectral norm in the discriminator; wgan-gp: no normalization there, and mean instead of "
        "sum pooling; dcgan: no normalization there, and networks that work on images in [0, 1]",
    )
    width: int = Field(128, ge=1, description="channels of the discriminator, half of the generator's")
    latent_dim: int = Field(128, ge=1, description="dimension of the latent vectors")


def build(options: MimicryOptions, context: BuildContext) -> Networks:
    first, doublings = first_size(context, "mimicry-resnet")
    from .networks import Discriminator, Generator

    channels = context.image_shape[0]
    return Networks(
        Generator(channels, first, doublings, options.latent_dim, 2 * options.width, options.variant),
        Discriminator(channels, options.width, options.variant),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="mimicry-resnet",
    summary="The ResNets with which mimicry (Lee and Town 2020) trained SNGAN, WGAN-GP and DCGAN on CIFAR-10",
    options=MimicryOptions,
    build=build,
)
