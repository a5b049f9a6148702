"""Update rules of torch.optim."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from ganbench import BuildContext, OptimizerFactory, OptimizerPlugin, Options, hookimpl

Decay = Annotated[float, Field(ge=0, lt=1)]


class AdamOptions(Options):
    lr: float = Field(1e-4, gt=0, description="learning rate")
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="decay of the running averages, each in [0, 1)")
    eps: float = Field(1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty")


class SGDOptions(Options):
    lr: float = Field(1e-2, gt=0, description="learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="decay of the velocity")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty")


class RMSpropOptions(Options):
    lr: float = Field(5e-5, gt=0, description="learning rate")
    alpha: float = Field(0.99, ge=0, lt=1, description="decay of the running average")
    eps: float = Field(1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty")


def build_adam(options: AdamOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import Adam

    return partial(Adam, **options.model_dump())


def build_sgd(options: SGDOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import SGD

    return partial(SGD, **options.model_dump())


def build_rmsprop(options: RMSpropOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import RMSprop

    return partial(RMSprop, **options.model_dump())


@hookimpl
def ganbench_optimizers() -> list[OptimizerPlugin]:
    return [
        OptimizerPlugin(
            name="adam", summary="Adam (Kingma and Ba 2014, arXiv:1412.6980)", options=AdamOptions, build=build_adam
        ),
        OptimizerPlugin(
            name="sgd",
            summary="Stochastic gradient descent, with momentum if asked",
            options=SGDOptions,
            build=build_sgd,
        ),
        OptimizerPlugin(
            name="rmsprop", summary="RMSprop (Tieleman and Hinton 2012)", options=RMSpropOptions, build=build_rmsprop
        ),
    ]
