"""GAN losses."""

from __future__ import annotations

from ganbench import (
    BuildContext,
    Loss,
    LossPlugin,
    Options,
    hookimpl,
)


def build_bce(options: Options, context: BuildContext) -> Loss:
    from .bce import BinaryCrossEntropy

    return BinaryCrossEntropy()


def build_minimax(options: Options, context: BuildContext) -> Loss:
    from .minimax import Minimax

    return Minimax()


def build_lsgan(options: Options, context: BuildContext) -> Loss:
    from .lsgan import LeastSquares

    return LeastSquares()


def build_hinge(options: Options, context: BuildContext) -> Loss:
    from .hinge import Hinge

    return Hinge()


def build_wgan(options: Options, context: BuildContext) -> Loss:
    from .wgan import Wasserstein

    return Wasserstein()


def build_rpgan(options: Options, context: BuildContext) -> Loss:
    from .rpgan import RelativisticPairing

    return RelativisticPairing()


@hookimpl
def ganbench_losses() -> list[LossPlugin]:
    return [
        LossPlugin(
            name="bce",
            summary="Binary cross-entropy with the non-saturating generator loss (Goodfellow et al. 2014)",
            build=build_bce,
        ),
        LossPlugin(
            name="minimax",
            summary="The original objective, whose generator loss saturates (Goodfellow et al. 2014)",
            build=build_minimax,
        ),
        LossPlugin(name="lsgan", summary="Least squares (Mao et al. 2016, arXiv:1611.04076)", build=build_lsgan),
        LossPlugin(name="hinge", summary="Hinge (Lim and Ye 2017, arXiv:1705.02894)", build=build_hinge),
        LossPlugin(
            name="wgan",
            summary="Wasserstein; needs clip_weights or gradient-penalty (Arjovsky et al. 2017, arXiv:1701.07875)",
            build=build_wgan,
        ),
        LossPlugin(
            name="rpgan",
            summary="Relativistic pairing; R3GAN adds r1 and r2 (Huang et al. 2024, arXiv:2501.05441)",
            build=build_rpgan,
        ),
    ]
