"""GAN models, one module each."""

from __future__ import annotations

from ganbench import ModelPlugin, hookimpl

from . import dcgan


@hookimpl
def ganbench_models() -> list[ModelPlugin]:
    return [dcgan.PLUGIN]
