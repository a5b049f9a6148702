"""Augmentations of the discriminator's input images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import Augmentation, AugmentationPlugin, BuildContext, Options, UsageError, hookimpl

Transform = Literal["color", "translation", "cutout"]


class DiffAugmentOptions(Options):
    policy: list[Transform] = Field(
        ["color", "translation", "cutout"], min_length=1, description="transformations to apply, in this order"
    )


class ADAOptions(Options):
    target: float = Field(
        0.6, gt=-1, lt=1, description="target for the mean sign of the discriminator's logits on real images"
    )
    every: int = Field(4, ge=1, description="discriminator updates between changes of the probability")
    kimg: float = Field(500.0, gt=0, description="thousands of real images in which the probability changes by 1")


def build_diffaugment(options: DiffAugmentOptions, context: BuildContext) -> Augmentation:
    _ = context.image_shape  # raises an error for vectors
    from .diffaugment import DiffAugment

    return DiffAugment(options.policy)


def build_ada(options: ADAOptions, context: BuildContext) -> Augmentation:
    channels, *size = context.image_shape
    if channels not in (1, 3):
        raise UsageError(
            f"augmentation 'ada' transforms grayscale and RGB images, but this dataset has {channels} channels; use "
            "another augmentation"
        )
    from .ada import ADA

    return ADA(size, options.target, options.every, options.kimg)


@hookimpl
def ganbench_augmentations() -> list[AugmentationPlugin]:
    return [
        AugmentationPlugin(
            name="diffaugment",
            summary="Color, translation and cutout (Zhao et al. 2020, arXiv:2006.10738)",
            options=DiffAugmentOptions,
            build=build_diffaugment,
        ),
        AugmentationPlugin(
            name="ada",
            summary="Adaptive blits, geometric and color transformations (Karras et al. 2020, arXiv:2006.06676)",
            options=ADAOptions,
            build=build_ada,
        ),
    ]
