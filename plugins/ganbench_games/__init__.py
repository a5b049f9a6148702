"""The smallest games that GAN training is like, and a bandit: they show which update rules work."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ganbench import (
    Benchmark,
    BuildContext,
    Callback,
    DatasetContext,
    DatasetPlugin,
    ImageData,
    Loss,
    LossPlugin,
    MetricPlugin,
    ModelPlugin,
    Networks,
    NetworksMetric,
    Options,
    TrackerContext,
    TrackerPlugin,
    hookimpl,
)

from .theory import bilinear_jacobian, dirac_jacobian, growth_by, quadratic_jacobian

FOLDER = Path(__file__).parent
BENCHMARKS = ("saddle_quadratic", "saddle_bilinear", "dirac_gan", "softmax_bandit")


class ScalarPlayersOptions(Options):
    x: float = Field(1.0, description="where the generator's number starts")
    y: float = Field(1.0, description="where the discriminator's number starts")


class DiracOptions(Options):
    point: float = Field(1.0, description="where the generator starts; the data is at 0")
    slope: float = Field(1.0, description="of the discriminator at the start")


class SoftmaxPolicyOptions(Options):
    arms: int = Field(3, ge=2, description="of the bandit; all are as likely at the start")


class SaddleOptions(Options):
    ascend: bool = Field(True, description="whether y ascends f, as in a minimax; false is descent on both")


class QuadraticSaddleOptions(SaddleOptions):
    a: float = Field(4.0, description="of f(x, y) = a x^2 - b y^2")
    b: float = Field(4.0, description="of f(x, y) = a x^2 - b y^2")


class BilinearOptions(SaddleOptions):
    c: float = Field(1.0, description="of f(x, y) = c x y")


class DiracLossOptions(Options):
    objective: Literal["saturating", "non-saturating", "wasserstein", "hinge"] = Field(
        "saturating", description="of both players; the first two differ in the generator's alone"
    )
    penalty: float = Field(0.0, ge=0, description="weight of the gradient penalty R1 at the data")


class PolicyGradientOptions(Options):
    rewards: list[float] = Field([5.0, 3.0, 1.0], min_length=2, description="what each arm pays")
    noise: float = Field(0.0, ge=0, description="standard deviation of what is added to a reward")
    baseline: bool = Field(False, description="subtract the mean of all rewards before")
    normalise: bool = Field(False, description="divide by the standard deviation of all rewards so far")


class NoneOptions(Options):
    size: int = Field(1, ge=1, description="blank images in an epoch; of one, every step is an epoch")


def build_scalar_players(options: ScalarPlayersOptions, context: BuildContext) -> Networks:
    from .players import Scalar

    return Networks(Scalar(options.x), Scalar(options.y), latent_dim=1)


def build_dirac_players(options: DiracOptions, context: BuildContext) -> Networks:
    from .players import Scalar, Slope

    return Networks(Scalar(options.point), Slope(options.slope), latent_dim=1)


def build_softmax_policy(options: SoftmaxPolicyOptions, context: BuildContext) -> Networks:
    from .players import Nobody, Policy

    return Networks(Policy(options.arms), Nobody(), latent_dim=1)


def build_quadratic_saddle(options: QuadraticSaddleOptions, context: BuildContext) -> Loss:
    from .saddles import Saddle

    return Saddle(lambda x, y: options.a * x * x - options.b * y * y, options.ascend)


def build_bilinear(options: BilinearOptions, context: BuildContext) -> Loss:
    from .saddles import Saddle

    return Saddle(lambda x, y: options.c * x * y, options.ascend)


def build_dirac(options: Any, context: BuildContext) -> Loss:
    from .dirac import Dirac

    return Dirac(options.objective, options.penalty)


def build_policy_gradient(options: PolicyGradientOptions, context: BuildContext) -> Loss:
    from .bandit import PolicyGradient

    return PolicyGradient(options.rewards, options.noise, options.baseline, options.normalise, context.device)


def build_none(options: NoneOptions, context: DatasetContext) -> ImageData:
    from .blank import blank_images

    return blank_images(options.size)


def build_distance(options: Options, context: BuildContext) -> NetworksMetric:
    from .distance import Distance

    return Distance()


@hookimpl
def ganbench_models() -> list[ModelPlugin]:
    return [
        ModelPlugin(
            name="scalar-players",
            summary="Two numbers: the generator is x, the discriminator y",
            options=ScalarPlayersOptions,
            build=build_scalar_players,
        ),
        ModelPlugin(
            name="dirac",
            summary="A point and a linear discriminator (Mescheder et al. 2018, arXiv:1801.04406)",
            options=DiracOptions,
            build=build_dirac_players,
        ),
        ModelPlugin(
            name="softmax-policy",
            summary="A softmax over the arms of a bandit, and no opponent",
            options=SoftmaxPolicyOptions,
            build=build_softmax_policy,
        ),
    ]


@hookimpl
def ganbench_losses() -> list[LossPlugin]:
    return [
        LossPlugin(
            name="quadratic-saddle",
            summary="The minimax of a x^2 - b y^2, which never rotates",
            options=QuadraticSaddleOptions,
            build=build_quadratic_saddle,
            growth=growth_by(quadratic_jacobian),
        ),
        LossPlugin(
            name="bilinear",
            summary="The minimax of c x y, which does nothing but rotate",
            options=BilinearOptions,
            build=build_bilinear,
            growth=growth_by(bilinear_jacobian),
        ),
        LossPlugin(
            name="dirac",
            summary="Objectives of the Dirac-GAN (Mescheder et al. 2018), with a gradient penalty if asked",
            options=DiracLossOptions,
            build=build_dirac,
            growth=growth_by(dirac_jacobian),
        ),
        LossPlugin(
            name="policy-gradient",
            summary="REINFORCE in a bandit (Williams 1992)",
            options=PolicyGradientOptions,
            build=build_policy_gradient,
        ),
    ]


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [
        DatasetPlugin(name="none", summary="No data: blank images of one pixel", options=NoneOptions, build=build_none)
    ]


@hookimpl
def ganbench_metrics() -> list[MetricPlugin]:
    return [
        MetricPlugin(
            name="distance", summary="How far the players are from where the game is solved", build=build_distance
        )
    ]


def build_trajectory(options: Options, context: TrackerContext) -> Callback:
    from .trajectory import Trajectory

    return Trajectory(context.directory)


@hookimpl
def ganbench_trackers() -> list[TrackerPlugin]:
    return [
        TrackerPlugin(
            name="trajectory", summary="Plots how a game was played, as trajectory.png", build=build_trajectory
        )
    ]


@hookimpl
def ganbench_benchmarks() -> list[Benchmark]:
    return [Benchmark.from_toml(FOLDER / f"{name}.toml", trackers=("trajectory",)) for name in BENCHMARKS]
