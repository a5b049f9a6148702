"""Multilayer perceptrons, for images of any shape and for points in the plane.

Width, depth and activations are those of Gulrajani et al. 2017 (arXiv:1704.00028) for two-dimensional data, where
latent vectors have dimension 2 and the generator's output is linear. Points are images of one pixel and two channels,
`(2, 1, 1)`, or of two pixels, `(1, 1, 2)`, scaled to [-1, 1].
"""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, ModelPlugin, Networks, Options


class MLPOptions(Options):
    width: int = Field(512, ge=1, description="units of each hidden layer")
    depth: int = Field(3, ge=1, description="hidden layers of each network")
    latent_dim: int = Field(100, ge=1, description="dimension of the latent vectors")


def build(options: MLPOptions, context: BuildContext) -> Networks:
    from .networks import Discriminator, Generator

    return Networks(
        Generator(context.image_shape, options.latent_dim, options.width, options.depth),
        Discriminator(context.image_shape, options.width, options.depth),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="mlp",
    summary="Multilayer perceptrons with ReLU, for images of any shape and for 2-D data",
    options=MLPOptions,
    build=build,
)
