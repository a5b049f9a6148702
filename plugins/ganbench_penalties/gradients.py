"""R1, R2 and the gradient penalty of WGAN-GP, unweighted."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from ganbench import Batch, Players


def r1(players: Players, batch: Batch) -> Tensor:
    """Return E[|grad D(x)|^2] / 2 over real images: eq. 9 of Mescheder et al. 2018 (arXiv:1801.04406), gamma = 1."""
    return squared_norms(players.input_gradient(batch.real, batch.labels)).mean() / 2


def r2(players: Players, batch: Batch) -> Tensor:
    """Return E[|grad D(x)|^2] / 2 over generated images: eq. 10 of Mescheder et al. 2018, gamma = 1."""
    return squared_norms(players.input_gradient(players.generate(batch), batch.fake_labels)).mean() / 2


class GradientPenalty:
    """E[(|grad D(x)| - target)^2] over interpolations x between pairs of real and generated images.

    Eq. 3 of Gulrajani et al. 2017 (arXiv:1704.00028), who use a weight of 10. `one_sided` penalizes only norms above
    the target. The interpolations have the labels of the real images.
    """

    def __init__(self, target: float, one_sided: bool) -> None:
        self.target = target
        self.one_sided = one_sided

    def __call__(self, players: Players, batch: Batch) -> Tensor:
        generated = players.generate(batch).detach()
        real = batch.real.detach()
        weights = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
        interpolated = real.lerp(generated.to(real.dtype), weights)
        # 1e-12, because the derivative of the square root at 0 is infinite
        norms = (squared_norms(players.input_gradient(interpolated, batch.labels)) + 1e-12).sqrt()
        excess = norms - self.target
        return (relu(excess) if self.one_sided else excess).square().mean()


def squared_norms(gradients: Tensor) -> Tensor:
    """Return the squared norm of each image's gradient: `(N, C, H, W)` or `(N, D)` to `(N,)`."""
    return gradients.square().flatten(1).sum(1)
