"""Multilayer perceptrons, for images of any shape and for vectors, such as points in the plane.

Width, depth and activations are those of Gulrajani et al. 2017 (arXiv:1704.00028) for points, where latent vectors have
dimension 2. For points, the generator's output is linear, as there; for images, it passes through tanh.
"""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, ModelPlugin, Networks, Options


class MLPOptions(Options):
    width: int = Field(512, ge=1, description="units of each hidden layer")
    depth: int = Field(3, ge=1, description="hidden layers of each network")
    latent_dim: int = Field(100, ge=1, description="dimension of the latent vectors; 2 as published for points")


def build(options: MLPOptions, context: BuildContext) -> Networks:
    from .networks import Discriminator, Generator

    return Networks(
        Generator(context.data_shape, options.latent_dim, options.width, options.depth),
        Discriminator(context.data_shape, options.width, options.depth),
        options.latent_dim,
    )


PLUGIN = ModelPlugin(
    name="mlp",
    summary="Multilayer perceptrons with ReLU, for images of any shape and for vectors, such as 2-D data",
    options=MLPOptions,
    build=build,
)
