"""The DCGAN of Radford, Metz and Chintala 2015 (arXiv:1511.06434), as in the authors' code.

The paper's network is for 64x64 images: 1,024 feature maps of 4x4, halved in number and doubled in size four times. For
images of 32 pixels, the first stage is left out, so that the feature maps start at 4x4 again; `sizes.py` has the other
sizes. The paper trains with Adam (lr 2e-4, betas 0.5 and 0.999), batches of 128, and latent vectors from a uniform
distribution; ganbench's are normal.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import BuildContext, ModelPlugin, Networks, Options
from ganbench_models.sizes import first_size


class RadfordOptions(Options):
    width: int = Field(128, ge=1, description="channels of the discriminator's first layer")
    latent_dim: int = Field(100, ge=1, description="dimension of the latent vectors")
    kernel_size: Literal[4, 5] = Field(
        5, description="side of all convolution kernels: 5 as published, 4 as in PyTorch's example (with width 64)"
    )


def build(options: RadfordOptions, context: BuildContext) -> Networks:
    first, doublings = first_size(context, "dcgan-radford")
    from .networks import Discriminator, Generator

    channels = context.image_shape[0]
    return Networks(
        Generator(channels, first, doublings, options.latent_dim, options.width, options.kernel_size),
        Discriminator(channels, first, doublings, options.width, options.kernel_size),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="dcgan-radford",
    summary="The DCGAN of Radford et al. 2015, for square images of 16 to 64 pixels",
    options=RadfordOptions,
    build=build,
)
