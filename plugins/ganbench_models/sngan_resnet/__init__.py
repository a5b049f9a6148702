"""The ResNets of SNGAN (Miyato et al. 2018, arXiv:1802.05957), as in the authors' code.

The discriminator is spectrally normalized: each weight W, as a matrix, is divided by sigma(W), its largest singular
value, estimated by one power iteration per forward pass. With `conditional = true`, the generator has conditional batch
norm, and the discriminator adds the projection of its features f on an embedding of the label y,

    D(x, y) = <v, f(x)> + <embed(y), f(x)>        (Miyato and Koyama 2018, arXiv:1802.05637, eq. 3),

where the embedding is spectrally normalized as well. The authors train with `hinge`, Adam (lr 2e-4, betas 0 and 0.9,
decreasing linearly to 0), five discriminator updates of 64 images, and generator batches of 128.

With the default width, the networks for sides below 64 pixels are those for CIFAR-10 (32x32): 256 channels in the
generator, 128 in the discriminator. The networks for 64x64 have 1,024 to 64 channels. `sizes.py` has the other sizes.
"""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, ModelPlugin, Networks, Options
from ganbench_models.sizes import first_size, require_classes


class SNGANOptions(Options):
    width: int = Field(
        64,
        ge=1,
        description="below 64 pixels, a quarter of the generator's and half of the discriminator's channels; at 64, "
        "the fewest channels of both",
    )
    latent_dim: int = Field(128, ge=1, description="dimension of the latent vectors")
    conditional: bool = Field(False, description="conditional batch norm and a projection discriminator")


def build(options: SNGANOptions, context: BuildContext) -> Networks:
    first, doublings = first_size(context, "sngan-resnet")
    if options.conditional:
        require_classes(context, "sngan-resnet")
    from .networks import Discriminator, Generator

    channels = context.image_shape[0]
    num_classes = context.num_classes if options.conditional else None
    return Networks(
        Generator(channels, first, doublings, options.latent_dim, options.width, num_classes),
        Discriminator(channels, doublings, options.width, num_classes),
        options.latent_dim,
        conditional=options.conditional,
    )


PLUGIN = ModelPlugin(
    name="sngan-resnet",
    summary="SNGAN's ResNets (Miyato et al. 2018), also class-conditional with projection",
    options=SNGANOptions,
    build=build,
)
