"""Augmentations of the discriminator's input images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ganbench import (
    Augmentation,
    AugmentationPlugin,
    BuildContext,
    Options,
    Schedulable,
    ScheduleConfig,
    UsageError,
    hookimpl,
)

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
    p: Annotated[float | ScheduleConfig, Schedulable(ge=0, le=1)] | None = Field(
        None,
        description="probability of each transformation, a number or a schedule, instead of an adaptive one; default: "
        "adaptive",
    )
    color: float = Field(1.0, ge=0, le=1, description="factor of the probability for color transformations")
    cutout: float = Field(0.0, ge=0, le=1, description="factor of the probability for cutout; 0 disables it")

    @model_validator(mode="after")
    def _adaptive_or_given(self) -> ADAOptions:
        adaptive = ("target", "every", "kimg")
        changed = [name for name in adaptive if getattr(self, name) != type(self).model_fields[name].default]
        if self.p is not None and changed:
            raise PydanticCustomError(
                "p", "with p, the probability does not adapt, so {name} has no effect; remove one", {"name": changed[0]}
            )
        return self


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
    from .ada import ADA, Pipeline

    if options.p is not None:
        return Pipeline(size, options.color, options.cutout, context.scheduled(options.p))
    return ADA(size, options.color, options.cutout, options.target, options.every, options.kimg)


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
