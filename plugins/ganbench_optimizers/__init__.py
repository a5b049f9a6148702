"""Optimizers from torch.optim, and update rules for games."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ganbench import BuildContext, OptimizerFactory, OptimizerPlugin, Options, Schedulable, ScheduleConfig, hookimpl

Decay = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float | ScheduleConfig, Schedulable(gt=0)]


class RuleOptions(Options):
    """Options with the names of an optimizer's arguments."""

    lr: Rate

    def arguments(self, context: BuildContext) -> dict[str, Any]:
        """Return the arguments; a schedule is passed as the tensor that the engine updates."""
        plain = {name: getattr(self, name) for name in type(self).model_fields if name != "lr"}
        return {**plain, "lr": context.scheduled(self.lr)}


class AdamOptions(RuleOptions):
    lr: Rate = Field(1e-4, description="learning rate, a number or a schedule")
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="decay rates of the running averages, each in [0, 1)")
    eps: float = Field(1e-8, gt=0, description="term added to the denominator")
    weight_decay: float = Field(0.0, ge=0, description="weight decay (L2 penalty)")


class AdamWOptions(AdamOptions):
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay, multiplied by the learning rate")


class SGDOptions(RuleOptions):
    lr: Rate = Field(1e-2, description="learning rate, a number or a schedule")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum factor")
    nesterov: bool = Field(False, description="Nesterov momentum; requires a momentum above 0")
    weight_decay: float = Field(0.0, ge=0, description="weight decay (L2 penalty)")

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> SGDOptions:
        if self.nesterov and not self.momentum:
            raise PydanticCustomError("nesterov", "nesterov requires a momentum above 0; set momentum, for example 0.9")
        return self


class RMSpropOptions(RuleOptions):
    lr: Rate = Field(5e-5, description="learning rate, a number or a schedule")
    alpha: float = Field(0.99, ge=0, lt=1, description="smoothing constant of the running average")
    eps: float = Field(1e-8, gt=0, description="term added to the denominator")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum factor")
    weight_decay: float = Field(0.0, ge=0, description="weight decay (L2 penalty)")


class GradientDescentOptions(RuleOptions):
    lr: Annotated[float | ScheduleConfig, Schedulable()] = Field(
        1e-2, description="learning rate, a number or a schedule; a negative one ascends"
    )
    momentum: float = Field(0.0, gt=-1, lt=1, description="momentum factor; a negative one damps games that rotate")


class GameOptions(RuleOptions):
    lr: Rate = Field(1e-2, description="learning rate, a number or a schedule")


def build_adam(options: AdamOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import Adam

    return partial(Adam, **options.arguments(context))


def build_adamw(options: AdamWOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import AdamW

    return partial(AdamW, **options.arguments(context))


def build_sgd(options: SGDOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import SGD

    return partial(SGD, **options.arguments(context))


def build_rmsprop(options: RMSpropOptions, context: BuildContext) -> OptimizerFactory:
    from torch.optim import RMSprop

    return partial(RMSprop, **options.arguments(context))


def build_gradient_descent(options: GradientDescentOptions, context: BuildContext) -> OptimizerFactory:
    from .update_rules import GradientDescent

    return partial(GradientDescent, **options.arguments(context))


def build_optimistic(options: GameOptions, context: BuildContext) -> OptimizerFactory:
    from .update_rules import Optimistic

    return partial(Optimistic, **options.arguments(context))


def build_extragradient(options: GameOptions, context: BuildContext) -> OptimizerFactory:
    from .update_rules import Extragradient

    return partial(Extragradient, **options.arguments(context))


@hookimpl
def ganbench_optimizers() -> list[OptimizerPlugin]:
    return [
        OptimizerPlugin(
            name="adam", summary="Adam (Kingma and Ba 2014, arXiv:1412.6980)", options=AdamOptions, build=build_adam
        ),
        OptimizerPlugin(
            name="adamw",
            summary="Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101)",
            options=AdamWOptions,
            build=build_adamw,
        ),
        OptimizerPlugin(
            name="sgd",
            summary="Stochastic gradient descent, optionally with momentum",
            options=SGDOptions,
            build=build_sgd,
        ),
        OptimizerPlugin(
            name="rmsprop", summary="RMSprop (Tieleman and Hinton 2012)", options=RMSpropOptions, build=build_rmsprop
        ),
        OptimizerPlugin(
            name="gradient-descent",
            summary="Plain gradient descent; learning rate and momentum may be negative",
            options=GradientDescentOptions,
            build=build_gradient_descent,
        ),
        OptimizerPlugin(
            name="optimistic",
            summary="Optimistic gradient descent (Daskalakis et al. 2018, arXiv:1711.00141)",
            options=GameOptions,
            build=build_optimistic,
        ),
        OptimizerPlugin(
            name="extragradient",
            summary="Extragradient, for simultaneous updates; an update takes two steps (Korpelevich 1976)",
            options=GameOptions,
            build=build_extragradient,
        ),
    ]
