"""The homework's DCGAN, after Radford, Metz and Chintala 2015 (arXiv:1511.06434)."""

from __future__ import annotations

from pydantic import Field

from ganbench import (
    BuildContext,
    ModelPlugin,
    Networks,
    Options,
    UsageError,
)


class DCGANOptions(Options):
    width: int = Field(64, ge=1, description="channels of the discriminator's first layer")
    latent_dim: int = Field(100, ge=1, description="size of the generator's input")
    negative_slope: float = Field(0.3, ge=0, lt=1, description="of every leaky ReLU")
    dropout: float = Field(0.3, ge=0, lt=1, description="in the discriminator")


def build(options: DCGANOptions, context: BuildContext) -> Networks:
    _, height, width = context.image_shape
    if height % 4 or width % 4:
        raise UsageError(
            f"model 'dcgan' makes images whose sides are multiples of 4, this data set's are {height}x{width}"
        )
    from .networks import Discriminator, Generator

    return Networks(
        Generator(context.image_shape, options.latent_dim, options.width, options.negative_slope),
        Discriminator(context.image_shape, options.width, options.negative_slope, options.dropout),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="dcgan",
    summary="The homework's DCGAN: three transposed 5x5 convolutions against two strided ones",
    options=DCGANOptions,
    build=build,
)
