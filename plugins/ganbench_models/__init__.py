"""Generators and discriminators, each in a module of its own."""

from __future__ import annotations

from ganbench import ModelPlugin, hookimpl

from . import dcgan


@hookimpl
def ganbench_models() -> list[ModelPlugin]:
    return [dcgan.PLUGIN]
