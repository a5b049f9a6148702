"""Augmentations of the discriminator's input images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import Augmentation, AugmentationPlugin, BuildContext, Options, hookimpl

Transform = Literal["color", "translation", "cutout"]


class DiffAugmentOptions(Options):
    policy: list[Transform] = Field(
        ["color", "translation", "cutout"], min_length=1, description="transformations to apply, in this order"
    )


def build_diffaugment(options: DiffAugmentOptions, context: BuildContext) -> Augmentation:
    from .diffaugment import DiffAugment

    return DiffAugment(options.policy)


@hookimpl
def ganbench_augmentations() -> list[AugmentationPlugin]:
    return [
        AugmentationPlugin(
            name="diffaugment",
            summary="Color, translation and cutout (Zhao et al. 2020, arXiv:2006.10738)",
            options=DiffAugmentOptions,
            build=build_diffaugment,
        )
    ]
