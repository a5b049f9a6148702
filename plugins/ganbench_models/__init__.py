"""GAN models, one module each."""

from __future__ import annotations

from ganbench import ModelPlugin, hookimpl

from . import dcgan, dcgan_radford, mimicry_resnet, mlp, r3gan, sngan_resnet, wgan_gp_convnet


@hookimpl
def ganbench_models() -> list[ModelPlugin]:
    return [
        dcgan.PLUGIN,
        dcgan_radford.PLUGIN,
        mimicry_resnet.PLUGIN,
        mlp.PLUGIN,
        r3gan.PLUGIN,
        sngan_resnet.PLUGIN,
        wgan_gp_convnet.PLUGIN,
    ]
