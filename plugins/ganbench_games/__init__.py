"""Minimal games that resemble GAN training, and a bandit: they show which update rules converge."""

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

FOLDER = Path(__file__).parent
BENCHMARKS = ("saddle_quadratic", "saddle_bilinear", "dirac_gan", "softmax_bandit")


class ScalarPlayersOptions(Options):
    x: float = Field(1.0, description="initial value of the generator")
    y: float = Field(1.0, description="initial value of the discriminator")


class DiracOptions(Options):
    point: float = Field(1.0, description="initial point of the generator; the data is at 0")
    slope: float = Field(1.0, description="initial slope of the discriminator")


class SoftmaxPolicyOptions(Options):
    num_arms: int = Field(3, ge=2, description="number of arms of the bandit, initially all equally likely")


class SaddleOptions(Options):
    ascend: bool = Field(True, description="y ascends f, as in a minimax game; if false, both players descend")


class QuadraticSaddleOptions(SaddleOptions):
    a: float = Field(4.0, description="coefficient a of f(x, y) = a x^2 - b y^2")
    b: float = Field(4.0, description="coefficient b of f(x, y) = a x^2 - b y^2")


class BilinearOptions(SaddleOptions):
    c: float = Field(1.0, description="coefficient c of f(x, y) = c x y")


class DiracLossOptions(Options):
    objective: Literal["saturating", "non-saturating", "wasserstein", "hinge"] = Field(
        "saturating", description="objectives of both players; the first two differ only in the generator's"
    )
    r1_gamma: float = Field(0.0, ge=0, description="weight gamma of the R1 gradient penalty at the data")


class PolicyGradientOptions(Options):
    rewards: list[float] = Field([5.0, 3.0, 1.0], min_length=2, description="mean reward of each arm")
    reward_std: float = Field(0.0, ge=0, description="standard deviation of the noise added to each reward")
    baseline: bool = Field(False, description="subtract the mean of all previous rewards")
    normalize_rewards: bool = Field(False, description="divide by the standard deviation of all rewards so far")


class NoneOptions(Options):
    num_images: int = Field(1, ge=1, description="number of blank images in an epoch; with 1, each step is an epoch")


def build_scalar_players(options: ScalarPlayersOptions, context: BuildContext) -> Networks:
    from .players import Scalar

    return Networks(Scalar(options.x), Scalar(options.y), latent_dim=1)


def build_dirac_players(options: DiracOptions, context: BuildContext) -> Networks:
    from .players import LinearDiscriminator, Scalar

    return Networks(Scalar(options.point), LinearDiscriminator(options.slope), latent_dim=1)


def build_softmax_policy(options: SoftmaxPolicyOptions, context: BuildContext) -> Networks:
    from .players import NullPlayer, Policy

    return Networks(Policy(options.num_arms), NullPlayer(), latent_dim=1)


def build_quadratic_saddle(options: QuadraticSaddleOptions, context: BuildContext) -> Loss:
    from .saddles import Saddle

    return Saddle(lambda x, y: options.a * x * x - options.b * y * y, options.ascend)


def build_bilinear(options: BilinearOptions, context: BuildContext) -> Loss:
    from .saddles import Saddle

    return Saddle(lambda x, y: options.c * x * y, options.ascend)


def build_dirac(options: Any, context: BuildContext) -> Loss:
    from .dirac import Dirac

    return Dirac(options.objective, options.r1_gamma)


def build_policy_gradient(options: PolicyGradientOptions, context: BuildContext) -> Loss:
    from .bandit import PolicyGradient

    return PolicyGradient(
        options.rewards, options.reward_std, options.baseline, options.normalize_rewards, context.device
    )


def build_none(options: NoneOptions, context: DatasetContext) -> ImageData:
    from .blank import blank_images

    return blank_images(options.num_images)


def build_distance(options: Options, context: BuildContext) -> NetworksMetric:
    from .distance import Distance

    return Distance()


@hookimpl
def ganbench_models() -> list[ModelPlugin]:
    return [
        ModelPlugin(
            name="scalar-players",
            summary="Two scalars: the generator is x, the discriminator is y",
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
            summary="A softmax policy over the arms of a bandit, without an opponent",
            options=SoftmaxPolicyOptions,
            build=build_softmax_policy,
        ),
    ]


@hookimpl
def ganbench_losses() -> list[LossPlugin]:
    return [
        LossPlugin(
            name="quadratic-saddle",
            summary="Minimax of a x^2 - b y^2: separable, without rotation",
            options=QuadraticSaddleOptions,
            build=build_quadratic_saddle,
        ),
        LossPlugin(
            name="bilinear",
            summary="Minimax of c x y: pure rotation",
            options=BilinearOptions,
            build=build_bilinear,
        ),
        LossPlugin(
            name="dirac",
            summary="Objectives of the Dirac-GAN (Mescheder et al. 2018), optionally with an R1 gradient penalty",
            options=DiracLossOptions,
            build=build_dirac,
        ),
        LossPlugin(
            name="policy-gradient",
            summary="REINFORCE on a multi-armed bandit (Williams 1992)",
            options=PolicyGradientOptions,
            build=build_policy_gradient,
        ),
    ]


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [DatasetPlugin(name="none", summary="No data: blank 1x1 images", options=NoneOptions, build=build_none)]


@hookimpl
def ganbench_metrics() -> list[MetricPlugin]:
    return [
        MetricPlugin(
            name="distance", summary="Distance of the players from the solution of the game", build=build_distance
        )
    ]


def build_trajectory(options: Options, context: TrackerContext) -> Callback:
    from .trajectory import Trajectory

    return Trajectory(context.directory)


@hookimpl
def ganbench_trackers() -> list[TrackerPlugin]:
    return [
        TrackerPlugin(
            name="trajectory", summary="Plots the trajectory of a game, as trajectory.png", build=build_trajectory
        )
    ]


@hookimpl
def ganbench_benchmarks() -> list[Benchmark]:
    return [Benchmark.from_toml(FOLDER / f"{name}.toml", trackers=("trajectory",)) for name in BENCHMARKS]
