"""The homework's DCGAN, based on Radford, Metz and Chintala 2015 (arXiv:1511.06434)."""

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
    latent_dim: int = Field(100, ge=1, description="dimension of the latent vectors")
    negative_slope: float = Field(0.3, ge=0, lt=1, description="negative slope of all leaky ReLUs")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout probability in the discriminator")


def build(options: DCGANOptions, context: BuildContext) -> Networks:
    _, height, width = context.image_shape
    if height % 4 or width % 4:
        raise UsageError(
            f"model 'dcgan' requires image sides that are multiples of 4, but this dataset has {height}x{width}; use "
            "another model or dataset"
        )
    from .networks import Discriminator, Generator

    return Networks(
        Generator(context.image_shape, options.latent_dim, options.width, options.negative_slope),
        Discriminator(context.image_shape, options.width, options.negative_slope, options.dropout),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="dcgan",
    summary="The homework's DCGAN: three transposed 5x5 convolutions, two strided 5x5 convolutions",
    options=DCGANOptions,
    build=build,
)
