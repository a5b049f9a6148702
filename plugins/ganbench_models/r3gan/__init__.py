"""The networks of R3GAN (Huang et al. 2024, arXiv:2501.05441), by default with the published sizes for CIFAR-10.

Both networks have two residual blocks per resolution, with grouped 3x3 convolutions between 1x1 convolutions that
double the number of channels, and bilinear resampling. There is no normalization: the residual branches start at zero,
and their inner layers are scaled by the number of blocks, as in Fixup (Zhang et al. 2019, arXiv:1901.09321). With
`conditional = true`, the generator's input is extended by an embedding of the label, and the discriminator's output is
the inner product of its features with another embedding.

The authors train with the relativistic loss and both `r1` and `r2`. Their models of CIFAR-10 and ImageNet are
class-conditional. With `conditional = true`, width 1536 and group_width 16, the networks are those for ImageNet at
32x32 and 64x64. `sizes.py` has the other sizes. The generator's output is linear, as published: its images may lie
slightly outside [-1, 1].
"""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ganbench import BuildContext, ModelPlugin, Networks, Options
from ganbench_models.sizes import first_size, require_classes


class R3GANOptions(Options):
    width: int = Field(768, ge=1, description="channels at all resolutions, a multiple of group_width")
    group_width: int = Field(
        8,
        ge=1,
        description="channels for each group of the 3x3 convolutions; width 1536 and group_width 16 are the ImageNet "
        "networks",
    )
    blocks: int = Field(2, ge=1, description="residual blocks at each resolution")
    latent_dim: int = Field(64, ge=1, description="dimension of the latent vectors")
    conditional: bool = Field(False, description="class-conditional networks, as published for CIFAR-10 and ImageNet")

    @model_validator(mode="after")
    def _whole_groups(self) -> R3GANOptions:
        if self.width % self.group_width:
            raise PydanticCustomError(
                "width",
                "width must be a multiple of group_width, {group_width}; got {width}",
                {"group_width": self.group_width, "width": self.width},
            )
        return self


def build(options: R3GANOptions, context: BuildContext) -> Networks:
    first, doublings = first_size(context, "r3gan")
    if options.conditional:
        require_classes(context, "r3gan")
    from .networks import Discriminator, Generator

    channels, num_classes = context.image_shape[0], context.num_classes if options.conditional else None
    width, group_width, blocks = options.width, options.group_width, options.blocks
    return Networks(
        Generator(channels, first, doublings, options.latent_dim, width, group_width, blocks, num_classes),
        Discriminator(channels, first, doublings, width, group_width, blocks, num_classes),
        options.latent_dim,
        conditional=options.conditional,
        unbounded=True,
    )


PLUGIN = ModelPlugin(
    name="r3gan",
    summary="R3GAN's ResNets (Huang et al. 2024): grouped convolutions, no normalization, also class-conditional",
    options=R3GANOptions,
    build=build,
)
