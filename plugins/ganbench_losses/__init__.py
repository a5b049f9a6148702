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


@hookimpl
def ganbench_losses() -> list[LossPlugin]:
    return [
        LossPlugin(
            name="bce",
            summary="Binary cross-entropy with the non-saturating generator loss (Goodfellow et al. 2014)",
            build=build_bce,
        )
    ]
