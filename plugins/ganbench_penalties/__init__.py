"""Penalties on the discriminator's gradient with respect to its input images."""

from __future__ import annotations

from pydantic import Field

from ganbench import BuildContext, Options, Penalty, PenaltyPlugin, hookimpl


class GradientPenaltyOptions(Options):
    target: float = Field(1.0, ge=0, description="target gradient norm")
    one_sided: bool = Field(False, description="penalize only norms above the target")


def build_r1(options: Options, context: BuildContext) -> Penalty:
    from .gradients import r1

    return r1


def build_r2(options: Options, context: BuildContext) -> Penalty:
    from .gradients import r2

    return r2


def build_gradient_penalty(options: GradientPenaltyOptions, context: BuildContext) -> Penalty:
    from .gradients import GradientPenalty

    return GradientPenalty(options.target, options.one_sided)


@hookimpl
def ganbench_penalties() -> list[PenaltyPlugin]:
    return [
        PenaltyPlugin(
            name="r1",
            summary="Half the squared gradient norm at real images (Mescheder et al. 2018, arXiv:1801.04406)",
            build=build_r1,
        ),
        PenaltyPlugin(
            name="r2",
            summary="Half the squared gradient norm at generated images (Mescheder et al. 2018, arXiv:1801.04406)",
            build=build_r2,
        ),
        PenaltyPlugin(
            name="gradient-penalty",
            summary="Squared deviation of the gradient norm from 1, at real-generated interpolates (WGAN-GP)",
            options=GradientPenaltyOptions,
            build=build_gradient_penalty,
        ),
    ]
